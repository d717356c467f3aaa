import path from 'node:path'
import { defaultTeamId } from '@virtualpytest/shared'
import { dataSourceOf } from './data-source.ts'
import { type GrafanaFiles, writeGrafanaFiles } from './grafana-files.ts'
import { readerPassword, readOrCreateSecrets } from './grafana-secrets.ts'
import { reportRoleName } from './report-role.ts'
import { signOnKeyOf } from './sign-on-key.ts'

export interface EmbeddedGrafana {
  /** Keeps the secrets. Everybody who calls this with one folder gets the same ones. */
  secretsFolder: string
  configFile: string
  dataFolder: string
  provisioningFolder: string
  databaseUrl: string
  port: number
  publicUrl: string
  frameOrigins: readonly string[]
  /** In place of the one that is made and kept with the secrets. */
  secretKey?: string | undefined
  /** Default false; see GrafanaSettingsInput. */
  isLive?: boolean
}

const productDashboards = path.resolve(import.meta.dirname, '../../../../grafana/dashboards')

/**
 * Writes the files of the Grafana beside this server. Needs no database: the name and the password of its database user are
 * known before the user exists, so whoever starts the programs can do this first.
 */
export function configureGrafana(input: EmbeddedGrafana): GrafanaFiles {
  const secrets = readOrCreateSecrets(input.secretsFolder)
  const user = reportRoleName({ installation: secrets.installation, teamId: defaultTeamId })
  return writeGrafanaFiles({
    configFile: input.configFile,
    dataFolder: input.dataFolder,
    provisioningFolder: input.provisioningFolder,
    dashboardsFolder: productDashboards,
    publicUrl: input.publicUrl,
    port: input.port,
    secrets: { ...secrets, secretKey: input.secretKey ?? secrets.secretKey },
    signOnKey: signOnKeyOf(secrets.sessionKey).publicKey,
    frameOrigins: input.frameOrigins,
    isLive: input.isLive ?? false,
    source: dataSourceOf(input.databaseUrl, { user, password: readerPassword(secrets, defaultTeamId) }),
  })
}
