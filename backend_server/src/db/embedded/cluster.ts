import { once } from 'node:events'
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import type { Binaries } from './binaries.ts'
import { type Credentials, databaseName, superuserName, userName } from './credentials.ts'
import { EmbeddedPostgresError } from './embedded-error.ts'
import { giveTo, type RunAs, spawnAs } from './run-as.ts'

/*
 * The files of a database cluster. A new one is made completely, users and database included, under another name and then
 * renamed: a start that is killed in the middle leaves nothing that looks like a cluster. Users are made by PostgreSQL's
 * single-user mode, so there is never a moment in which a server listens without passwords.
 */

export const clusterName = 'pgdata'

/** Major version of the cluster in this data folder; undefined when there is none yet. */
export function clusterMajor(dataDir: string): number | undefined {
  const file = path.join(dataDir, clusterName, 'PG_VERSION')
  if (existsSync(file)) return Number.parseInt(readFileSync(file, 'utf8'), 10)
  if (!existsSync(path.join(dataDir, clusterName))) return undefined
  throw new EmbeddedPostgresError(
    'data_folder_unusable',
    `${path.join(dataDir, clusterName)} is no PostgreSQL cluster: PG_VERSION is missing. Restore it from a backup or choose another DATA_DIR.`,
  )
}

export interface ClusterInput {
  dataDir: string
  binaries: Binaries
  runAs: RunAs
  credentials: Credentials
  fsync: boolean
}

export async function createCluster(input: ClusterInput): Promise<void> {
  removeHalfMade(input.dataDir)
  const draft = path.join(input.dataDir, `${clusterName}.new-${process.pid}`)
  mkdirSync(draft, { mode: 0o700 })
  giveTo(input.runAs, draft)
  // Sorting by code point is the same on every machine, and lower() still knows all letters. From 17 on the server has this
  // locale built in; before that it comes from the C library.
  const locale =
    input.binaries.major >= 17 ? ['--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C'] : ['--locale=C.UTF-8']
  await runTool(input.runAs, input.binaries.initdb, [
    `--pgdata=${draft}`,
    `--username=${superuserName}`,
    '--auth=trust',
    '--encoding=UTF8',
    '--data-checksums',
    '--no-instructions',
    ...locale,
    ...(input.fsync ? [] : ['--no-sync']),
  ])
  // The line above says trust only because initdb would want a password in a file; these are the rules that count.
  writeFileSync(path.join(draft, 'pg_hba.conf'), 'local all all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n')
  await runSingleUser(input, draft, [
    `alter role ${superuserName} password '${input.credentials.superuserPassword}'`,
    // It makes the read-only users of the dashboards.
    `create role ${userName} login createrole password '${input.credentials.password}'`,
    `create database ${databaseName} owner ${userName}`,
  ])
  renameSync(draft, path.join(input.dataDir, clusterName))
  syncFolder(input.dataDir)
}

/** After the password file was lost. The cluster must be stopped. */
export async function resetPasswords(input: ClusterInput): Promise<void> {
  await runSingleUser(input, path.join(input.dataDir, clusterName), [
    `alter role ${superuserName} password '${input.credentials.superuserPassword}'`,
    `alter role ${userName} password '${input.credentials.password}'`,
  ])
}

function removeHalfMade(dataDir: string): void {
  for (const name of readdirSync(dataDir)) {
    if (name.startsWith(`${clusterName}.new-`)) rmSync(path.join(dataDir, name), { recursive: true, force: true })
  }
}

/** One statement per line; this mode ends with 0 even after an error, so its messages are read. */
async function runSingleUser(input: ClusterInput, cluster: string, statements: string[]): Promise<void> {
  const args = ['--single', '-D', cluster, '-c', `fsync=${input.fsync ? 'on' : 'off'}`, '-c', 'log_statement=none', 'postgres']
  const messages = await runTool(input.runAs, input.binaries.postgres, args, `${statements.join('\n')}\n`)
  if (/\b(ERROR|FATAL|PANIC):/.test(messages)) throw failed(input.binaries.postgres, messages)
}

const toolTimeoutMs = 120_000

async function runTool(runAs: RunAs, file: string, args: string[], input?: string): Promise<string> {
  const child = spawnAs(runAs, file, args, {
    stdio: ['pipe', 'ignore', 'pipe'],
    timeout: toolTimeoutMs,
    killSignal: 'SIGKILL',
    cwd: '/',
  })
  if (!child.stdin || !child.stderr) throw new Error('a tool was started without pipes')
  // It may end before it has read everything; its exit code says why.
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  const [messages, [code]] = await Promise.all([text(child.stderr), once(child, 'close')]).catch((error: unknown) => {
    throw new EmbeddedPostgresError('start_failed', `Cannot run ${file}.`, error)
  })
  if (code !== 0) throw failed(file, messages)
  return messages
}

function failed(file: string, messages: string): EmbeddedPostgresError {
  // Statements are repeated in some messages; they hold the new passwords.
  const lines = messages.split('\n').filter((line) => line.trim() !== '' && !/password/i.test(line))
  return new EmbeddedPostgresError('start_failed', `${path.basename(file)} failed:\n${lines.slice(-15).join('\n')}`)
}

function syncFolder(folder: string): void {
  const handle = openSync(folder, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}
