import path from 'node:path'
import { defaultTeamId } from '@virtualpytest/shared'
import type { Database } from '../../db/database.ts'
import { dataSourceOf } from './data-source.ts'
import { type GrafanaFiles, writeGrafanaFiles } from './grafana-files.ts'
import { readOrCreateSecrets } from './grafana-secrets.ts'
import { ensureReportRole, reportRoleName } from './report-role.ts'

/** Its data source shows one team until each team has an organization of its own in Grafana: nobody else may come in (N13). */
export const dashboardTeamId = defaultTeamId

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
  const user = reportRoleName({ installation: secrets.installation, teamId: dashboardTeamId })
  return writeGrafanaFiles({
    configFile: input.configFile,
    dataFolder: input.dataFolder,
    provisioningFolder: input.provisioningFolder,
    dashboardsFolder: productDashboards,
    publicUrl: input.publicUrl,
    port: input.port,
    secrets,
    frameOrigins: input.frameOrigins,
    isLive: input.isLive ?? false,
    sources: [dataSourceOf(input.databaseUrl, { user, password: secrets.reportPassword })],
  })
}

/** Makes the database user of these files, once the database is migrated. */
export function ensureGrafanaReader(db: Database, secretsFolder: string): Promise<string> {
  const { installation, reportPassword: password } = readOrCreateSecrets(secretsFolder)
  return ensureReportRole(db, { teamId: dashboardTeamId, installation, password })
}
