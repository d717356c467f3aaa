import { chmodSync, closeSync, existsSync, fstatSync, mkdirSync, openSync, readFileSync, renameSync, statSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import type { Binaries } from './binaries.ts'
import { type ClusterInput, clusterName } from './cluster.ts'
import { EmbeddedPostgresError } from './embedded-error.ts'
import { type Postmaster, signal, waitUntilReady } from './postmaster.ts'
import { identityOf } from './process-identity.ts'
import { giveTo, type RunAs, spawnAs } from './run-as.ts'

const readyTimeoutMs = 300_000
const portAttempts = 4

/** Starts PostgreSQL for the cluster and waits until it takes connections. `wantedPort` 0: the last one while free, else any. */
export async function launch(input: ClusterInput, wantedPort: number, logFile: string): Promise<Postmaster> {
  const cluster = path.join(input.dataDir, clusterName)
  rotate(logFile)
  let failure = ''
  for (let attempt = 0; attempt < portAttempts; attempt += 1) {
    const port = wantedPort || (await choosePort(attempt === 0 ? lastPort(input.dataDir) : 0))
    // A file, not a pipe: PostgreSQL must be able to write when we are gone.
    const output = openSync(logFile, 'a', 0o600)
    const from = fstatSync(output).size
    const args = serverArgs(input, port)
    // Its own process group: Ctrl-C in a terminal reaches our server alone, which stops PostgreSQL last.
    const child = spawnAs(input.runAs, input.binaries.postgres, args, {
      detached: true,
      stdio: ['ignore', output, output],
      cwd: '/',
    })
    closeSync(output)
    child.unref()
    const outcome = await waitUntilReady(child, cluster, readyTimeoutMs)
    if ('port' in outcome && child.pid !== undefined) return { identity: identityOf(child.pid), port: outcome.port }
    if (child.pid !== undefined && child.exitCode === null) signal(child.pid, 'SIGQUIT')
    failure = `${'exit' in outcome ? outcome.exit : 'no process'}\n${tailOf(logFile, from)}`
    // Somebody took the port between our look and PostgreSQL's.
    if (wantedPort !== 0 || !/could not bind|Address already in use/i.test(failure)) break
  }
  throw new EmbeddedPostgresError('start_failed', `PostgreSQL did not start: ${failure}\nIts log: ${logFile}`)
}

export function serverArgs(input: ClusterInput, port: number): string[] {
  const socketFolder = prepareSocketFolder(input.dataDir, input.runAs)
  return ['-D', path.join(input.dataDir, clusterName), ...settings(input.binaries, { port, socketFolder, fsync: input.fsync })]
}

/**
 * Sized for a lab: a few dozen connections, a small machine that has other things to do. No helper processes that only large
 * or replicated databases use: each costs megabytes.
 */
function settings(binaries: Binaries, at: { port: number; socketFolder: string; fsync: boolean }): string[] {
  const values: Record<string, string | number> = {
    listen_addresses: '127.0.0.1',
    port: at.port,
    unix_socket_directories: at.socketFolder,
    unix_socket_permissions: '0700',
    max_connections: 60,
    shared_buffers: '24MB',
    work_mem: '8MB',
    maintenance_work_mem: '32MB',
    effective_cache_size: '256MB',
    max_wal_size: '256MB',
    min_wal_size: '64MB',
    max_worker_processes: 1,
    max_parallel_workers: 0,
    max_parallel_workers_per_gather: 0,
    max_parallel_maintenance_workers: 0,
    max_logical_replication_workers: 0,
    autovacuum_max_workers: 1,
    wal_level: 'minimal',
    max_wal_senders: 0,
    huge_pages: 'off',
    jit: 'off',
    random_page_cost: 1.1,
    fsync: at.fsync ? 'on' : 'off',
    synchronous_commit: at.fsync ? 'on' : 'off',
    full_page_writes: at.fsync ? 'on' : 'off',
    password_encryption: 'scram-sha-256',
    timezone: 'UTC',
    log_timezone: 'UTC',
    datestyle: 'ISO, YMD',
    log_line_prefix: '%m [%p] %q%u ',
    log_checkpoints: 'off',
    // The log is shown to people: no statement, which may hold a password, and no value of a row.
    log_min_error_statement: 'panic',
    log_error_verbosity: 'terse',
    // Reading in extra processes pays off on big machines only.
    ...(binaries.major >= 18 ? { io_method: 'sync' } : {}),
  }
  return Object.entries(values).flatMap(([name, value]) => ['-c', `${name}=${value}`])
}

const socketPathLimit = 100

/** The system allows 107 bytes for the path of a socket; without a socket only TCP remains, which is enough for us. */
function prepareSocketFolder(dataDir: string, runAs: RunAs): string {
  const folder = path.join(dataDir, 'socket')
  if (Buffer.byteLength(path.join(folder, '.s.PGSQL.65535')) >= socketPathLimit || /[",\\\s]/.test(folder)) return ''
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  giveTo(runAs, folder)
  return folder
}

async function choosePort(wanted: number): Promise<number> {
  return (wanted !== 0 && (await listenOnce(wanted))) || (await listenOnce(0)) || 0
}

function listenOnce(port: number): Promise<number> {
  return new Promise((resolve) => {
    const server = net.createServer()
    server.once('error', () => resolve(0))
    server.listen(port, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(address && typeof address === 'object' ? address.port : 0))
    })
  })
}

function lastPort(dataDir: string): number {
  const file = path.join(dataDir, 'port')
  const port = existsSync(file) ? Number(readFileSync(file, 'utf8').trim()) : 0
  return Number.isInteger(port) && port > 0 && port < 65_536 ? port : 0
}

const logLimitBytes = 5_000_000

function rotate(logFile: string): void {
  if (existsSync(logFile) && statSync(logFile).size > logLimitBytes) renameSync(logFile, `${logFile}.1`)
  if (existsSync(logFile)) chmodSync(logFile, 0o600)
}

/** The last lines of the log, from a position on. */
export function tailOf(logFile: string, from: number): string {
  if (!existsSync(logFile)) return ''
  return readFileSync(logFile).subarray(from).toString('utf8').trimEnd().split('\n').slice(-15).join('\n')
}
