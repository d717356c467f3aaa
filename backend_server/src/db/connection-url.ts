import { lookup } from 'node:dns'
import { readFileSync } from 'node:fs'
import net from 'node:net'
import tls from 'node:tls'
import type pg from 'pg'

/*
 * DATABASE_URL -> settings of the driver. The URL class does the parsing; a password with raw `/`, `?` or `#` is forgiven.
 * Nothing here puts the password into an error or a log line.
 */

/** The URL without its password, for logs and messages; safe for any text. */
export function redactUrl(text: string): string {
  const url = toUrl(text)
  if (!url) return 'postgresql://(not a readable URL)'
  const address = hostOf(url)
  const user = url.username === '' ? '' : `${decode(url.username)}@`
  return `postgresql://${user}${address.includes(':') ? `[${address}]` : address}:${url.port || '5432'}/${databaseOf(url)}`
}

export interface ConnectionLimits {
  connectTimeoutMs: number
  /** 0: none */
  queryTimeoutMs: number
}

/** Throws an Error that names the trouble and never the value. */
export function clientConfig(text: string, limits: ConnectionLimits): pg.ClientConfig {
  const url = toUrl(text)
  if (!url) {
    throw new Error(
      'The database URL cannot be read. It must look like postgresql://USER:PASSWORD@HOST:5432/NAME; write special characters of the password as %XX.',
    )
  }
  const host = hostOf(url)
  if (url.username === '') throw new Error('The database URL names no user: postgresql://USER:PASSWORD@HOST:5432/NAME')
  return {
    host,
    port: Number(url.port || 5432),
    user: decode(url.username),
    // A function, because the driver takes an empty text for "look into PGPASSWORD".
    password: () => decode(url.password),
    database: databaseOf(url),
    ssl: tlsOf(url, host),
    application_name: url.searchParams.get('application_name') ?? 'virtualpytest',
    keepAlive: true,
    keepAliveInitialDelayMillis: 30_000,
    connectionTimeoutMillis: limits.connectTimeoutMs,
    query_timeout: limits.queryTimeoutMs,
    // A socket folder needs no name lookup; everything else goes through ours.
    ...(host.startsWith('/') ? {} : { stream: ipv4FirstSocket }),
  }
}

/** True for the database hosts of Supabase, which answer only on IPv6 unless a pooler address is used. */
export function isSupabaseDirectHost(text: string): boolean {
  const url = toUrl(text)
  return url !== undefined && /^db\.[a-z0-9]+\.supabase\.(co|com)$/i.test(hostOf(url))
}

function toUrl(text: string): URL | undefined {
  const plain = tryUrl(text)
  // A raw `/`, `?` or `#` in the password cuts the URL short: it is invalid then, or has its user behind the host.
  if (plain && (plain.username !== '' || !/@/.test(plain.pathname + plain.search + plain.hash))) return plain
  const parts = /^(postgres(?:ql)?:\/\/)([^:@/?#]*):(.*)@([^@]*)$/s.exec(text)
  if (!parts) return undefined
  return tryUrl(`${parts[1]}${parts[2]}:${encodeURIComponent(decode(parts[3] ?? ''))}@${parts[4]}`)
}

function tryUrl(text: string): URL | undefined {
  // `user@/name?host=/folder` has no host, which the URL class refuses together with a user.
  const named = /[?&]host=/.test(text) ? text.replace(/@\/(?=[^@]*$)/, '@localhost/') : text
  const url = URL.parse(named)
  if (!url || !/^postgres(ql)?:$/.test(url.protocol)) return undefined
  return url.hostname !== '' || url.searchParams.has('host') ? url : undefined
}

const hostOf = (url: URL): string => url.searchParams.get('host') ?? decode(url.hostname).replace(/^\[(.*)\]$/, '$1')

const databaseOf = (url: URL): string => decode(url.pathname.slice(1)) || decode(url.username)

/** Decodes %XX; a text with a lone `%` is taken as it is. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

const isLoopback = (host: string): boolean => /^(localhost|127\.\d+\.\d+\.\d+|::1)$/.test(host) || host.startsWith('/')

/**
 * sslmode as in libpq, with two differences: the driver cannot try twice, so `allow` and `prefer` mean TLS except on this
 * machine; without sslmode Supabase is spoken to with TLS and everything else without.
 */
function tlsOf(url: URL, host: string): boolean | tls.ConnectionOptions {
  const mode = url.searchParams.get('sslmode') ?? (/\.supabase\.(co|com)$/i.test(host) ? 'require' : 'disable')
  const rootFile = url.searchParams.get('sslrootcert')
  const ca = rootFile && rootFile !== 'system' ? readFileSync(rootFile, 'utf8') : undefined
  switch (mode) {
    case 'disable':
      return false
    case 'allow':
    case 'prefer':
      return isLoopback(host) ? false : { rejectUnauthorized: false }
    case 'no-verify':
      return { rejectUnauthorized: false }
    case 'require':
      return ca ? { ca, checkServerIdentity: () => undefined } : { rejectUnauthorized: false }
    case 'verify-ca':
      return { ca, checkServerIdentity: () => undefined }
    case 'verify-full':
      return { ca, checkServerIdentity: tls.checkServerIdentity }
    default:
      throw new Error('sslmode in the database URL must be disable, allow, prefer, require, verify-ca or verify-full')
  }
}

/** Many lab networks have IPv6 names without an IPv6 route: IPv4 addresses are tried first, the others after them. */
function ipv4FirstSocket(): net.Socket {
  const socket = new net.Socket()
  const connect = socket.connect.bind(socket)
  const connectByName = (port: number, host: string): net.Socket =>
    connect({
      port,
      host,
      autoSelectFamily: true,
      lookup: (name, options, done) => lookup(name, { ...options, order: 'ipv4first' }, done),
    })
  return Object.assign(socket, { connect: connectByName })
}
