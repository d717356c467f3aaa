import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'

export interface DataSource {
  uid: string
  name: string
  type: string
  url: string
  user: string
  jsonData: { database: string; maxOpenConns: number; maxIdleConns: number }
  secureJsonData: { password: string }
  readOnly: boolean
}

export interface Configuration {
  setting: (section: string, key: string, fallback?: string) => string
  isOn: (section: string, key: string, fallback?: string) => boolean
  dataSources: (Omit<DataSource, 'readOnly'> & { orgId: number })[]
  dashboards: { orgId: number; folder: string; uid: string; content: unknown }[]
}

/** The files that the real program would read, as the server wrote them. */
export function readConfiguration(configFile: string): Configuration {
  const ini = readIni(readFileSync(configFile, 'utf8'))
  const setting = (section: string, key: string, fallback = ''): string => ini[section]?.[key] ?? fallback
  const provisioning = setting('paths', 'provisioning')
  const providers = readProvisioned<{ providers: { orgId: number; options: { path: string } }[] }>(provisioning, 'dashboards')
  return {
    setting,
    isOn: (section, key, fallback = 'false') => setting(section, key, fallback) === 'true',
    dataSources: readProvisioned<{ datasources: Configuration['dataSources'] }>(provisioning, 'datasources').flatMap(
      (file) => file.datasources,
    ),
    dashboards: providers
      .flatMap((file) => file.providers)
      .flatMap(({ orgId, options }) =>
        readdirSync(options.path, { recursive: true, encoding: 'utf8' })
          .filter((file) => file.endsWith('.json'))
          .map((file) => {
            const content = JSON.parse(readFileSync(path.join(options.path, file), 'utf8')) as { uid: string }
            return { orgId, folder: path.dirname(file), uid: content.uid, content }
          }),
      ),
  }
}

function readIni(content: string): Record<string, Record<string, string>> {
  const sections: Record<string, Record<string, string>> = {}
  let section = ''
  for (const line of content.split('\n')) {
    const head = /^\[(.+)\]$/.exec(line.trim())?.[1]
    if (head !== undefined) section = head
    const pair = /^([^;#\s=][^=]*?)\s*=\s*(.*)$/.exec(line.trim())
    if (head !== undefined || !pair) continue
    sections[section] ??= {}
    Object.assign(sections[section] ?? {}, { [pair[1] ?? '']: (pair[2] ?? '').replace(/^"""(.*)"""$/, '$1') })
  }
  return sections
}

/** Provisioning files with the replacements that Grafana makes in each text: `$$` is a dollar, `$NAME` a variable. */
function readProvisioned<File>(folder: string, kind: string): File[] {
  const files = readdirSync(path.join(folder, kind)).filter((name) => name.endsWith('.yaml'))
  return files.map((name) => {
    const content = readFileSync(path.join(folder, kind, name), 'utf8').replace(/^#.*$/gm, '')
    return JSON.parse(content, (_key, value: unknown) =>
      typeof value === 'string'
        ? value
            .split('$$')
            .map((part) => part.replace(/\$\{?\w+\}?/g, ''))
            .join('$')
        : value,
    ) as File
  })
}
