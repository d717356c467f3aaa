import { networkInterfaces } from 'node:os'
import type { Config } from './config.ts'

/**
 * Where other servers on the same database reach this one, unless INTERNAL_URL says it. A server that listens on all addresses
 * is reached by the first one of its machine; behind nginx in the container by nginx's port, because the API is on loopback.
 */
export function internalAddress(config: Pick<Config, 'serverHost' | 'topology' | 'nginxPort'>, listeningUrl: string): string {
  const port = config.topology === 'nginx' ? config.nginxPort : Number(new URL(listeningUrl).port)
  const listensOnAll = config.topology === 'nginx' || ['0.0.0.0', '::'].includes(config.serverHost)
  if (!listensOnAll) return listeningUrl
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
  const own = addresses.find((one) => !one.internal && one.family === 'IPv4')
  return `http://${own?.address ?? '127.0.0.1'}:${port}`
}
