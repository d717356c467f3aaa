import net from 'node:net'
import type { Config } from '../config.ts'
import { type Finding, fail, ok } from './finding.ts'

export function examinePorts(config: Config): Promise<Finding[]> {
  const ports: [name: string, port: number, setting: string][] = [
    ['port of the API', config.serverPort, 'SERVER_PORT'],
    ...(config.compatPort === undefined
      ? []
      : [['port for original hosts', config.compatPort, 'COMPAT_PORT'] as [string, number, string]]),
    ...(config.topology === 'nginx' ? [['port of nginx', config.nginxPort, 'NGINX_PORT'] as [string, number, string]] : []),
  ]
  return Promise.all(ports.map(([name, port, setting]) => examinePort(name, port, config.serverHost, setting)))
}

async function examinePort(name: string, port: number, host: string, setting: string): Promise<Finding> {
  if (port === 0) return ok(name, 'a free one is taken at start')
  const refusal = await tryToListen(port, host)
  if (refusal === undefined) return ok(name, `${port} is free`)
  if (refusal === 'EACCES') return fail(name, `${port} may not be opened by this user`, `Set ${setting} to a port above 1023.`)
  if (refusal === 'EADDRNOTAVAIL') return fail(name, `this machine has no address ${host}`, 'Correct SERVER_HOST.')
  if (refusal !== 'EADDRINUSE') return fail(name, `${port} cannot be opened (${refusal})`, `Set ${setting} to another port.`)
  return (await isOurs(port, host))
    ? ok(name, `${port} is used by a running VirtualPyTest server`)
    : fail(
        name,
        `${port} is used by another program`,
        `Stop it (who: ss -ltnp 'sport = :${port}'), or set ${setting} to another port.`,
      )
}

function tryToListen(port: number, host: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = net.createServer()
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'unknown'))
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(undefined)))
  })
}

async function isOurs(port: number, host: string): Promise<boolean> {
  const address = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
  try {
    const response = await fetch(`http://${address.includes(':') ? `[${address}]` : address}:${port}/health`, {
      signal: AbortSignal.timeout(3000),
    })
    const body: unknown = await response.json()
    return typeof body === 'object' && body !== null && 'service' in body && body.service === 'virtualpytest-server'
  } catch {
    return false
  }
}
