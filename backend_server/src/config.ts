import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { hostname } from 'node:os'
import path from 'node:path'
import {
  asBoolean,
  asCount,
  asKey,
  asList,
  asOneOf,
  asPort,
  asText,
  asUrl,
  ConfigError,
  type Environment,
  readSettings,
  setting,
} from '@virtualpytest/shared/settings'
import { databaseProblems, portProblems } from './platform-rules.ts'

export { ConfigError } from '@virtualpytest/shared/settings'

const asOrigins = (text: string): string[] => asList(text).map((origin) => new URL(asUrl('http:', 'https:')(origin)).origin)
const asAddress = (text: string): string => {
  if (!/^[\w.:%-]+$/.test(text)) throw new Error('address')
  return text
}

const asNetworks = (text: string): string[] =>
  asList(text).map((word) => {
    const match = /^([\da-f.:]+)(?:\/(\d{1,3}))?$/i.exec(word)
    const family = isIP(match?.[1] ?? '')
    const isNetwork = family !== 0 && Number(match?.[2] ?? 0) <= (family === 6 ? 128 : 32)
    if (!isNetwork && !['loopback', 'private', 'public', 'link-local'].includes(word)) throw new Error('network')
    return word
  })

/** Every setting of the server in one table. `env.example` and docs/settings.md are generated from it. */
export const settings = {
  production: setting({
    env: 'NODE_ENV',
    fallback: 'development',
    parse: (text) => asOneOf('production', 'development', 'test')(text) === 'production',
    says: 'production, development or test',
    doc: '`production` changes the defaults of SERVER_HOST and AUTH_MODE to those of a public server.',
  }),
  serverPort: setting({
    env: 'SERVER_PORT',
    fallback: '10000',
    parse: asPort,
    says: 'a port number',
    doc: 'Port of the API. `0` takes a free one. Where it is not set, PORT is used, unless TOPOLOGY is nginx.',
  }),
  serverHost: setting({
    env: 'SERVER_HOST',
    parse: asAddress,
    says: 'an IP address or a host name',
    doc: 'Address to listen on. Default 127.0.0.1, in production 0.0.0.0.',
  }),
  compatPort: setting({
    env: 'COMPAT_PORT',
    parse: asPort,
    says: 'a port number',
    doc: 'A second listener for original hosts, which rewrite local server URLs to port 5109. Off when not set.',
  }),
  dataDir: setting({
    env: 'DATA_DIR',
    fallback: './data',
    parse: (text) => path.resolve(text),
    says: 'a folder',
    doc: 'Folder of the embedded database and of artifacts.',
  }),
  databaseUrl: setting({
    env: 'DATABASE_URL',
    parse: asUrl('postgres:', 'postgresql:'),
    says: 'a Postgres URL',
    doc: 'PostgreSQL 15 or newer; for Supabase the session pooler (port 5432). Without it an embedded PostgreSQL is started below DATA_DIR.',
    secret: true,
  }),
  databaseConnections: setting({
    env: 'DATABASE_CONNECTIONS',
    fallback: '5',
    parse: asCount(2, 99),
    says: 'a number from 2 to 99',
    doc: 'Most database connections this server opens.',
  }),
  apiKey: setting({
    env: 'API_KEY',
    parse: asKey,
    says: 'at least 16 characters',
    doc: 'Key shared with the hosts: they send it to the server and the server sends it to them as X-API-Key.',
    secret: true,
  }),
  authMode: setting({
    env: 'AUTH_MODE',
    parse: asOneOf('open', 'required'),
    says: 'open or required',
    doc: '`required`: every person and program needs an API token. `open`: anybody who reaches the port may do everything; the default only while bound to a loopback address outside production.',
  }),
  firstTokenFile: setting({
    env: 'FIRST_TOKEN_FILE',
    parse: (text) => path.resolve(text),
    says: 'a file',
    doc: 'Where the one-time admin token of a first start is written (readable by the server only) instead of being printed. The container sets it, because there everything printed is kept in logs.',
  }),
  hostRegistration: setting({
    env: 'HOST_REGISTRATION',
    fallback: 'open',
    parse: asOneOf('open', 'key'),
    says: 'open or key',
    doc: '`key`: hosts must send X-API-Key (API_KEY or a key of their own). `open`: original hosts, which send none, may register.',
  }),
  hostNetworks: setting({
    env: 'HOST_NETWORKS',
    parse: asNetworks,
    says: 'a comma list of loopback, private, public, link-local and networks such as 10.20.0.0/16',
    doc: 'Where hosts may be: the server calls no host elsewhere, whatever URL it registered. Default `private,public`, outside production also `loopback`.',
  }),
  serverName: setting({
    env: 'SERVER_NAME',
    parse: asText,
    says: 'a name',
    doc: 'Name shown for this server. Default: the name of the machine.',
  }),
  serverUrl: setting({
    env: 'SERVER_URL',
    parse: asUrl('http:', 'https:'),
    says: 'an http or https URL',
    doc: 'Public URL of this server. Default: RENDER_EXTERNAL_URL where that is set, else http://SERVER_HOST:SERVER_PORT.',
  }),
  internalUrl: setting({
    env: 'INTERNAL_URL',
    parse: asUrl('http:', 'https:'),
    says: 'an http or https URL',
    doc: "Where other servers on the same database reach this one. Set it only with several servers, and there only if the default is wrong: the address this server listens on, or this machine's first one.",
  }),
  debug: setting({
    env: 'DEBUG',
    fallback: 'false',
    parse: asBoolean,
    says: 'true or false',
    doc: '`true` lowers the default of LOG_LEVEL to debug.',
  }),
  logLevel: setting({
    env: 'LOG_LEVEL',
    parse: asOneOf('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'),
    says: 'fatal, error, warn, info, debug, trace or silent',
    doc: 'Least level of log lines. Default info.',
  }),
  corsOrigins: setting({
    env: 'CORS_ORIGINS',
    fallback: '',
    parse: asOrigins,
    says: 'a comma list of origins such as https://lab.example.org',
    doc: 'Origins of web apps beside localhost, 127.0.0.1 and 192.168.x.x, which are always allowed.',
  }),
  trustedProxies: setting({
    env: 'TRUSTED_PROXIES',
    parse: asCount(0, 9),
    says: 'a number of proxies from 0 to 9',
    doc: 'How many proxies in front of the server may name the client in X-Forwarded-For. Default 0; one more behind nginx in the container, one more on Render.',
  }),
  scriptsDir: setting({
    env: 'TEST_SCRIPTS_DIR',
    fallback: path.resolve(import.meta.dirname, '../../test_scripts'),
    parse: (text) => path.resolve(text),
    says: 'a folder',
    doc: 'Folder of the scripts the server lists and analyzes. Default: test_scripts of this checkout.',
  }),
  grafana: setting({
    env: 'GRAFANA',
    fallback: 'off',
    parse: asOneOf('off', 'embedded', 'external'),
    says: 'off, embedded or external',
    doc: 'Dashboards at /grafana/: `embedded` is a Grafana on this machine that the supervisor starts, `external` one at GRAFANA_URL. The image sets `embedded` where it has Grafana.',
  }),
  grafanaUrl: setting({
    env: 'GRAFANA_URL',
    parse: asUrl('http:', 'https:'),
    says: 'an http or https URL',
    doc: 'Where an external Grafana is. It must serve from the path /grafana/ and accept identity headers from this server only.',
  }),
  grafanaPort: setting({
    env: 'GF_SERVER_HTTP_PORT',
    fallback: '3000',
    parse: asPort,
    says: 'a port number',
    doc: 'Port of the embedded Grafana on 127.0.0.1.',
  }),
  dashboardConnections: setting({
    env: 'DASHBOARD_CONNECTIONS',
    fallback: '5',
    parse: asCount(3, 99),
    says: 'a number from 3 to 99',
    doc: 'Most database connections of the embedded Grafana, beside those of DATABASE_CONNECTIONS: two for each team that asks at the same time and one that is kept idle. With 5 two teams ask at once and others wait a moment.',
  }),
  grafanaSecretKey: setting({
    env: 'GF_SECURITY_SECRET_KEY',
    parse: asKey,
    secret: true,
    says: 'at least 16 characters',
    doc: 'Key with which the embedded Grafana encrypts what it keeps. Default: one that is made at the first start and kept in DATA_DIR. Another key than the one of an existing Grafana database stops the start.',
  }),
  askHistoryDays: setting({
    env: 'ASK_HISTORY_DAYS',
    fallback: '90',
    parse: asCount(1, 36_500),
    says: 'a number of days from 1 to 36500',
    doc: 'How long settled questions to holders of devices are kept.',
  }),
  statusHistoryDays: setting({
    env: 'STATUS_HISTORY_DAYS',
    fallback: '400',
    parse: asCount(1, 36_500),
    says: 'a number of days from 1 to 36500',
    doc: 'How long changes of the status of devices, and leases that have ended, are kept. Figures of availability reach back no further.',
  }),
  deviceCheckHours: setting({
    env: 'DEVICE_CHECK_HOURS',
    fallback: '0',
    parse: asCount(0, 8760),
    says: 'a number of hours from 0 to 8760',
    doc: 'Idle devices whose last health check is older than these hours are checked, each for a few seconds; `0`: only devices under suspicion are.',
  }),
  backupDir: setting({
    env: 'BACKUP_DIR',
    parse: (text) => path.resolve(text),
    says: 'a folder',
    doc: 'Folder of the backups of the database. Default: backups below DATA_DIR. Another disk is better.',
  }),
  backupHours: setting({
    env: 'BACKUP_HOURS',
    parse: asCount(0, 8760),
    says: 'a number of hours from 0 to 8760',
    doc: 'Hours between two backups of the database, `0` for none. Default 24 for a database on this machine; 0 for one elsewhere, whose provider makes them.',
  }),
  backupKeep: setting({
    env: 'BACKUP_KEEP',
    fallback: '7',
    parse: asCount(1, 1000),
    says: 'a number from 1 to 1000',
    doc: 'How many backups of each kind (daily, before a migration, by hand) are kept.',
  }),
  backupBeforeMigration: setting({
    env: 'BACKUP_BEFORE_MIGRATION',
    fallback: 'required',
    parse: asOneOf('required', 'try', 'off'),
    says: 'required, try or off',
    doc: 'Backup before a new version changes the tables of a database that is in use. `required`: when it fails, nothing is changed and the start stops. `try`: it is reported and the start goes on. `off`: none.',
  }),
  topology: setting({
    env: 'TOPOLOGY',
    fallback: 'direct',
    parse: asOneOf('direct', 'nginx'),
    says: 'direct or nginx',
    doc: 'Container only. `direct`: the API is the entry. `nginx`: nginx is the entry and hands on to the API on 127.0.0.1:5110.',
  }),
  nginxPort: setting({
    env: 'NGINX_PORT',
    parse: asPort,
    says: 'a port number',
    doc: 'Container only, TOPOLOGY=nginx: port of nginx. Default: PORT where that is set, else 80.',
  }),
  embeddedDb: setting({
    env: 'EMBEDDED_DB',
    parse: asOneOf('durable', 'ephemeral'),
    says: 'durable or ephemeral',
    doc: 'The database below DATA_DIR is wanted although other settings speak against it. `durable`: beside Supabase settings without DATABASE_URL. `ephemeral`: on Render too, where its content is lost at each deploy.',
  }),
  render: setting({
    env: 'RENDER',
    fallback: 'false',
    parse: asBoolean,
    says: 'true or false',
    doc: 'Set by Render itself.',
  }),
  renderExternalUrl: setting({
    env: 'RENDER_EXTERNAL_URL',
    parse: asUrl('http:', 'https:'),
    says: 'an http or https URL',
    doc: 'Set by Render itself: the public URL of the service.',
  }),
  supabaseUrl: setting({
    env: 'NEXT_PUBLIC_SUPABASE_URL',
    parse: asUrl('http:', 'https:'),
    says: 'an http or https URL',
    doc: 'URL of the Supabase project, as the original server had it. The database itself is reached by DATABASE_URL.',
  }),
  supabaseAnonKey: setting({
    env: 'NEXT_PUBLIC_SUPABASE_ANON_KEY',
    parse: asText,
    says: 'a key',
    doc: 'Public key of the Supabase project. It grants nothing by itself.',
    secret: true,
  }),
} as const

export interface Config {
  firstTokenFile: string | undefined
  grafana: 'off' | 'embedded' | 'external'
  grafanaUrl: string | undefined
  grafanaPort: number
  dashboardConnections: number
  grafanaSecretKey: string | undefined
  production: boolean
  serverPort: number
  serverHost: string
  compatPort: number | undefined
  dataDir: string
  databaseUrl: string | undefined
  databaseConnections: number
  apiKey: string | undefined
  authMode: 'open' | 'required'
  hostRegistration: 'open' | 'key'
  hostNetworks: readonly string[]
  serverName: string
  serverUrl: string | undefined
  internalUrl: string | undefined
  debug: boolean
  logLevel: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent'
  corsOrigins: readonly string[]
  trustedProxies: number
  scriptsDir: string
  askHistoryDays: number
  statusHistoryDays: number
  deviceCheckHours: number
  backupDir: string
  backupHours: number
  backupKeep: number
  backupBeforeMigration: 'required' | 'try' | 'off'
  topology: 'direct' | 'nginx'
  nginxPort: number
  embeddedDb: 'durable' | 'ephemeral' | undefined
  render: boolean
  renderExternalUrl: string | undefined
  supabaseUrl: string | undefined
  supabaseAnonKey: string | undefined
  version: string
}

const loopback = /^(localhost|127\.\d+\.\d+\.\d+|::1)$/i

/** Reads and checks the whole environment. Throws ConfigError with every problem found. */
export function readConfig(env: Environment): Config {
  const problems: string[] = []
  const values = readSettings(settings, env, problems, (name) => standIn(env, name))
  if (problems.length > 0) throw new ConfigError(problems)
  const serverHost = values.serverHost ?? (values.production ? '0.0.0.0' : '127.0.0.1')
  const authMode = values.authMode ?? (!values.production && loopback.test(serverHost) ? 'open' : 'required')
  if (values.grafana === 'external' && values.grafanaUrl === undefined) {
    problems.push('GRAFANA_URL must be set when GRAFANA is external')
  }
  if (values.hostRegistration === 'key' && authMode === 'open' && values.apiKey === undefined) {
    problems.push('API_KEY must be set when HOST_REGISTRATION is key and AUTH_MODE is open')
  }
  const nginxPort = values.nginxPort ?? Number(env.PORT?.trim() || 80)
  problems.push(...databaseProblems(values), ...portProblems({ ...values, nginxPort }, env))
  if (values.render && values.debug) problems.push('DEBUG must be false when RENDER is true')
  if (problems.length > 0) throw new ConfigError(problems)
  return Object.freeze({
    ...values,
    serverHost,
    authMode,
    hostNetworks: values.hostNetworks ?? [...(values.production ? [] : ['loopback']), 'private', 'public'],
    serverName: values.serverName ?? hostname(),
    logLevel: values.logLevel ?? (values.debug ? 'debug' : 'info'),
    serverUrl: values.serverUrl ?? values.renderExternalUrl,
    trustedProxies: values.trustedProxies ?? (values.topology === 'nginx' ? 1 : 0) + (values.render ? 1 : 0),
    nginxPort,
    backupDir: values.backupDir ?? path.join(values.dataDir, 'backups'),
    backupHours: values.backupHours ?? (isOnThisMachine(values.databaseUrl) ? 24 : 0),
    version: productVersion(),
  })
}

/** The embedded database is, also where a supervisor runs it and hands over its URL. */
const isOnThisMachine = (databaseUrl: string | undefined): boolean =>
  databaseUrl === undefined || /@(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?\//.test(databaseUrl)

/** PORT, which platforms set, stands in for SERVER_PORT; behind nginx it is nginx's port. */
const standIn = (env: Environment, name: string): string =>
  name === 'SERVER_PORT' && !env.SERVER_PORT?.trim() && env.PORT?.trim() && env.TOPOLOGY?.trim() !== 'nginx' ? 'PORT' : name

function productVersion(): string {
  const manifest = readFileSync(path.resolve(import.meta.dirname, '../package.json'), 'utf8')
  return (JSON.parse(manifest) as { version: string }).version
}
