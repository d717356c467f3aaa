import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type DataSource, dataSourceFile, provisioningText } from './data-source.ts'
import { type GrafanaSettingsInput, grafanaSettings, settingsAsEnvironment, settingsAsIni } from './grafana-settings.ts'

export interface GrafanaFilesInput extends Omit<GrafanaSettingsInput, 'homeDashboard'> {
  configFile: string
  /** The dashboards of the product, by feature. */
  dashboardsFolder: string
  sources: readonly DataSource[]
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
  const settings = grafanaSettings({ ...input, homeDashboard })
  // Readable for the group only: Grafana may run as a user of its own, and the data source holds a password.
  for (const name of ['datasources', 'dashboards', 'plugins', 'alerting'])
    mkdirSync(path.join(provisioningFolder, name), { recursive: true, mode: 0o750 })
  mkdirSync(dataFolder, { recursive: true, mode: 0o770 })
  mkdirSync(path.dirname(configFile), { recursive: true })
  const texts: [file: string, text: string][] = [
    [path.join(provisioningFolder, 'datasources/report.yaml'), dataSourceFile(input.sources)],
    [path.join(provisioningFolder, 'dashboards/product.yaml'), dashboardsFile(dashboardsFolder, input.sources)],
    [configFile, settingsAsIni(settings)],
  ]
  return {
    isChanged: texts.map(([file, text]) => writeWhenOther(file, text)).some(Boolean),
    files: texts.map(([file]) => file),
    env: { ...settingsAsEnvironment(settings), GF_PATHS_CONFIG: configFile },
  }
}

const dashboardsFile = (folder: string, sources: readonly DataSource[]): string =>
  provisioningText({
    providers: sources.map(({ orgId }) => ({
      name: `virtualpytest-${orgId}`,
      orgId,
      type: 'file',
      disableDeletion: true,
      allowUiUpdates: false,
      updateIntervalSeconds: 60,
      options: { path: folder, foldersFromFilesStructure: true },
    })),
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
