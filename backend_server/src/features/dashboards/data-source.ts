import { clientConfig } from '../../db/connection-url.ts'

/** Fixed, because dashboards name it. */
export const dataSourceUid = 'vpt-report'
/** Since Grafana 10.3; `postgres` before. */
export const dataSourceType = 'grafana-postgresql-datasource'
const dataSourceName = 'VirtualPyTest'

export interface DataSource {
  /** As Grafana wants it: host:port, or the folder of a socket. */
  address: string
  database: string
  user: string
  password: string
  tlsMode: 'disable' | 'require' | 'verify-ca' | 'verify-full'
  rootCertificate: string | undefined
}

/** Where the server's own database is, with the user that reads for dashboards in place of its own. */
export function dataSourceOf(databaseUrl: string, reader: { user: string; password: string }): DataSource {
  const config = clientConfig(databaseUrl, { connectTimeoutMs: 0, queryTimeoutMs: 0 })
  const host = config.host ?? '127.0.0.1'
  const query = databaseUrl.slice(databaseUrl.lastIndexOf('@') + 1)
  const rootCertificate = parameter(query, 'sslrootcert')
  return {
    address: host.startsWith('/') ? host : `${host.includes(':') ? `[${host}]` : host}:${config.port ?? 5432}`,
    database: config.database ?? '',
    user: userAtPooler(reader.user, host, config.user ?? ''),
    password: reader.password,
    tlsMode: tlsModeOf(parameter(query, 'sslmode'), config.ssl !== false, rootCertificate !== undefined),
    rootCertificate: rootCertificate === 'system' ? undefined : rootCertificate,
  }
}

/** Supabase's pooler finds the project behind the dot of a user's name. */
function userAtPooler(user: string, host: string, own: string): string {
  const project = /\.([a-z0-9]+)$/.exec(own)?.[1]
  return /\.pooler\.supabase\.com$/i.test(host) && project ? `${user}.${project}` : user
}

/** `isEncrypted` as the server itself decided; Grafana knows neither `allow` nor `prefer` nor `no-verify`. */
function tlsModeOf(mode: string | undefined, isEncrypted: boolean, hasRoot: boolean): DataSource['tlsMode'] {
  if (!isEncrypted) return 'disable'
  if (mode === 'verify-ca' || mode === 'verify-full') return mode
  return mode === 'require' && hasRoot ? 'verify-ca' : 'require'
}

const parameter = (query: string, name: string): string | undefined => {
  const value = new RegExp(`[?&]${name}=([^&#]+)`).exec(query)?.[1]
  return value === undefined ? undefined : decodeURIComponent(value)
}

/** As Grafana's HTTP API takes it, and its provisioning files too. */
export const dataSourceModel = (source: DataSource, { keepsIdle }: { keepsIdle: boolean }) => ({
  name: dataSourceName,
  uid: dataSourceUid,
  type: dataSourceType,
  access: 'proxy',
  isDefault: true,
  url: source.address,
  user: source.user,
  jsonData: {
    database: source.database,
    sslmode: source.tlsMode,
    ...(source.rootCertificate && { tlsConfigurationMethod: 'file-path', sslRootCertFile: source.rootCertificate }),
    postgresVersion: 1500,
    timescaledb: false,
    // Poolers count clients. How many teams may have some at the same moment is decided elsewhere (team-turns.ts).
    maxOpenConns: connectionsOfTeam,
    maxIdleConns: keepsIdle ? 1 : 0,
    connMaxLifetime: 300,
  },
  secureJsonData: { password: source.password },
})
/** Of each data source. */
export const connectionsOfTeam = 2

/** Content of a provisioning file. It is JSON, which every YAML reader takes, so no value can be read as something else. */
export const dataSourceFile = (source: DataSource): string =>
  // 1 is the organization that Grafana makes by itself. A file for one that does not exist yet would stop its start.
  provisioningText({ prune: true, datasources: [{ ...dataSourceModel(source, { keepsIdle: true }), orgId: 1, editable: false }] })

/** Grafana puts environment variables and files in place of `$NAME`, `${NAME}` and `$__file{...}`; `$$` is a dollar. */
export function provisioningText(content: Record<string, unknown>): string {
  const text = JSON.stringify(
    { apiVersion: 1, ...content },
    (_key, value: unknown) => (typeof value === 'string' ? value.replaceAll('$', '$$$$') : value),
    2,
  )
  return `# Written by the server at each start; changes are lost.\n${text}\n`
}
