import { isSupabaseDirectHost } from './connection-url.ts'
import { errorCodeOf } from './errors.ts'

/** Words of an error for the log; driver errors never contain the password. */
export function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return error.errors.map(reasonOf).join('; ')
  const code = errorCodeOf(error)
  const text = error instanceof Error ? error.message : 'unknown'
  return code === undefined || text.includes(code) ? text : `${text} (${code})`
}

/** What an operator can do about it, where the cause is a well-known one. */
export function hintFor(url: string, error: unknown): string | undefined {
  const reason = reasonOf(error)
  if (isSupabaseDirectHost(url) && /ENETUNREACH|EHOSTUNREACH|ENOTFOUND|ENODATA|EADDRNOTAVAIL|ETIMEDOUT|timeout/.test(reason)) {
    return 'This Supabase address answers on IPv6 only, which this network does not have. Use the address of the session pooler (Connect, Session pooler, port 5432).'
  }
  // All its addresses were tried, and each one has colons before the port.
  const addresses = [...reason.matchAll(/E(?:NETUNREACH|HOSTUNREACH|ADDRNOTAVAIL) (\S+):\d+/g)].map((match) => match[1] ?? '')
  if (addresses.length > 0 && addresses.every((address) => address.includes(':')))
    return 'This host answers on IPv6 only, which this network does not have. Use an address that has IPv4 too.'
  if (/28P01|28000|password authentication failed/.test(reason)) {
    return 'Check user and password in DATABASE_URL; special characters of the password are written as %XX.'
  }
  if (/Tenant or user not found/i.test(reason)) return 'At a Supabase pooler the user is postgres.PROJECT, not postgres.'
  if (/3D000/.test(reason)) return 'The server has no database of that name; create it or correct DATABASE_URL.'
  if (/does not support SSL/.test(reason)) return 'This server speaks no TLS; use sslmode=disable if the network is trusted.'
  if (/CERT|SELF_SIGNED|certificate/i.test(reason))
    return 'Its certificate is not trusted; give its authority with sslrootcert=FILE.'
  return undefined
}
