import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type DataSource, dataSourceFile, provisioningText } from './data-source.ts'
import { assertSameKey } from './encryption-key.ts'
import { type GrafanaSettingsInput, grafanaSettings, settingsAsEnvironment, settingsAsIni } from './grafana-settings.ts'

export interface GrafanaFilesInput extends Omit<GrafanaSettingsInput, 'homeDashboard' | 'signOnKeyFile'> {
  configFile: string
  /** The dashboards of the product, by feature. */
  dashboardsFolder: string
  /** Of the default team. Other teams get theirs over Grafana's HTTP API, once their organizations exist. */
  source: DataSource
  /** PEM. Grafana believes who signs with the other half of it. */
  signOnKey: string
}

export interface GrafanaFiles {
  /** What was written, in the order of writing; the configuration comes last, so its presence means ready. */
  files: string[]
  /** The same configuration as an environment, for a Grafana that has a configuration file already. */
  env: Record<string, string>
  /** A file has changed: a Grafana that runs already must be restarted. */
  isChanged: boolean
}

/** Writes everything that Grafana reads; what it writes itself may be lost at any time. */
export function writeGrafanaFiles(input: GrafanaFilesInput): GrafanaFiles {
  const { dataFolder, provisioningFolder, configFile, dashboardsFolder } = input
  const homeDashboard = path.join(dashboardsFolder, 'runs/script-results.json')
  const signOnKeyFile = path.join(provisioningFolder, 'sign-on.pem')
  const settings = grafanaSettings({ ...input, homeDashboard, signOnKeyFile })
  // Readable for the group only: Grafana may run as a user of its own, and the data source holds a password.
  for (const name of ['datasources', 'dashboards', 'plugins', 'alerting'])
    mkdirSync(path.join(provisioningFolder, name), { recursive: true, mode: 0o750 })
  mkdirSync(dataFolder, { recursive: true, mode: 0o770 })
  assertSameKey(dataFolder, input.secrets.secretKey)
  mkdirSync(path.dirname(configFile), { recursive: true })
  const texts: [file: string, text: string][] = [
    [path.join(provisioningFolder, 'datasources/report.yaml'), dataSourceFile(input.source)],
    [path.join(provisioningFolder, 'dashboards/product.yaml'), dashboardsFile(dashboardsFolder)],
    [signOnKeyFile, input.signOnKey],
    [configFile, settingsAsIni(settings)],
  ]
  return {
    isChanged: texts.map(([file, text]) => writeWhenOther(file, text)).some(Boolean),
    files: texts.map(([file]) => file),
    env: { ...settingsAsEnvironment(settings), GF_PATHS_CONFIG: configFile },
  }
}

const dashboardsFile = (folder: string): string =>
  provisioningText({
    providers: [
      {
        name: 'virtualpytest-1',
        orgId: 1,
        type: 'file',
        disableDeletion: true,
        allowUiUpdates: false,
        updateIntervalSeconds: 60,
        options: { path: folder, foldersFromFilesStructure: true },
      },
    ],
  })

function writeWhenOther(file: string, text: string): boolean {
  if (read(file) === text) return false
  const draft = `${file}.draft`
  writeFileSync(draft, text, { mode: 0o640 })
  renameSync(draft, file)
  return true
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
