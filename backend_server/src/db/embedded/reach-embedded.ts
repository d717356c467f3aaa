import { existsSync } from 'node:fs'
import path from 'node:path'
import { closeClient, connectClient } from '../client.ts'
import { DatabaseUnavailable } from '../errors.ts'
import type { Log } from '../log.ts'
import { clusterName } from './cluster.ts'
import { startEmbeddedPostgres } from './embedded-postgres.ts'
import { embeddedDatabaseUrl } from './embedded-url.ts'
import { readPidFile } from './postmaster.ts'

/**
 * The embedded database for a program beside the server, such as a backup: the running one if there is one, whoever started
 * it, else it is started for as long as it is needed. `makeNew: false` refuses a folder without a database.
 */
export async function reachEmbedded(options: {
  dataDir: string
  log: Log
  makeNew: boolean
}): Promise<{ url: string; started: boolean; close(): Promise<void> }> {
  const { dataDir, log, makeNew } = options
  const cluster = path.join(dataDir, clusterName)
  if (!makeNew && !existsSync(cluster)) {
    throw new DatabaseUnavailable(new Error(`there is no database in ${dataDir}; set DATA_DIR or DATABASE_URL as for the server`))
  }
  const running = await runningEmbeddedUrl(dataDir)
  if (running !== undefined) return { url: running, started: false, close: () => Promise.resolve() }
  const embedded = await startEmbeddedPostgres({ dataDir, log })
  return { url: embedded.url, started: true, close: () => embedded.stop() }
}

/** The URL of the database of this folder while it runs, whoever started it. */
export async function runningEmbeddedUrl(dataDir: string): Promise<string | undefined> {
  const running = readPidFile(path.join(dataDir, clusterName))
  if (running?.status !== 'ready') return undefined
  const url = embeddedDatabaseUrl(dataDir, running.port)
  return (await answers(url)) ? url : undefined
}

/** A pid file may have been left behind by a kill; then nobody listens. Whoever does listen gets its time on a slow machine. */
async function answers(url: string): Promise<boolean> {
  try {
    await closeClient(await connectClient(url, { connectTimeoutMs: 30_000, queryTimeoutMs: 30_000 }))
    return true
  } catch {
    return false
  }
}
