import { mkdirSync, realpathSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import pg from 'pg'
import { clientConfig } from '../connection-url.ts'
import type { Log } from '../log.ts'
import { findBinaries } from './binaries.ts'
import { type ClusterInput, clusterMajor, clusterName, createCluster, resetPasswords } from './cluster.ts'
import { markToldToCluster, readOrCreateCredentials } from './credentials.ts'
import { EmbeddedPostgresError } from './embedded-error.ts'
import { urlsOf } from './embedded-url.ts'
import { launch, tailOf } from './launch.ts'
import { takeOwnerLock } from './owner-lock.ts'
import { findLivePostmaster, signal, stopPostmaster, watchPostmaster } from './postmaster.ts'
import { isAlive } from './process-identity.ts'
import { chooseRunAs, giveTo, openWay, type RootMode } from './run-as.ts'

/*
 * Real PostgreSQL beside the server, without Docker and without an installed service.
 *
 * The data folder: owner.lock (one server at a time), credentials.json (0600), port, postgres.log, pgdata/ (the cluster),
 * socket/. States of a start: locked -> cluster made or found -> adopted or started -> verified by a login.
 *
 * Promises: a cluster is never served twice; what was acknowledged survives kill -9 of everything; a server that outlived
 * ours is adopted, not restarted; PostgreSQL listens on 127.0.0.1 only and always asks for a password.
 */

export interface EmbeddedOptions {
  dataDir: string
  log: Log
  /** Off for tests only: faster, and lost with the power. Default true. */
  fsync?: boolean
  /** 0 (default): the port of the last start while it is free, else a free one. */
  port?: number
  /** Called when PostgreSQL ends without having been asked to. The data folder is free again then. */
  onExit?: (exit: { logFile: string; logTail: string }) => void
  /** Which programs make a new cluster. Default `any`: the system's before those from npm. */
  binaries?: 'system' | 'npm' | 'any'
  /** How root runs PostgreSQL. Default `auto`. */
  runAs?: RootMode
}

export interface EmbeddedPostgres {
  /** For the server: owner of the database `virtualpytest`. */
  url: string
  /** For making and dropping databases: database `postgres`. */
  superuserUrl: string
  version: string
  port: number
  pid: number
  adopted: boolean
  logFile: string
  /** Ends PostgreSQL and frees the data folder. May be called twice. */
  stop(): Promise<void>
  /** Asks PostgreSQL to end and does not wait: for a server that must exit at once, as after a second Ctrl-C. */
  interrupt(): void
}

export async function startEmbeddedPostgres(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  mkdirSync(path.dirname(options.dataDir), { recursive: true })
  mkdirSync(options.dataDir, { recursive: true, mode: 0o700 })
  const dataDir = realpathSync(options.dataDir)
  const lock = await takeOwnerLock(path.join(dataDir, 'owner.lock'))
  try {
    return await start(options, dataDir, () => lock.release())
  } catch (error) {
    lock.release()
    throw error
  }
}

async function start(options: EmbeddedOptions, dataDir: string, unlock: () => void): Promise<EmbeddedPostgres> {
  const { log } = options
  const startedAt = performance.now()
  const cluster = path.join(dataDir, clusterName)
  const logFile = path.join(dataDir, 'postgres.log')
  const input = await prepareCluster(options, dataDir)

  const live = await findLivePostmaster(cluster, log)
  const postmaster = live ?? (await launch(input, options.port ?? 0, logFile))
  writeFileSync(path.join(dataDir, 'port'), `${postmaster.port}\n`)
  const urls = urlsOf(postmaster.port, input.credentials)
  const version = await logIn(urls.url, logFile).catch(async (error: unknown) => {
    await stopPostmaster(postmaster, cluster, log)
    throw error
  })

  let stopping: Promise<void> | undefined
  const unwatch = watchPostmaster(postmaster, () => {
    stopping = Promise.resolve()
    unlock()
    const logTail = tailOf(logFile, 0)
    log.error({ logFile, logTail }, 'the embedded database has ended by itself')
    options.onExit?.({ logFile, logTail })
  })
  const adopted = live !== undefined
  const ms = Math.round(performance.now() - startedAt)
  log.info(
    { pid: postmaster.identity.pid, port: postmaster.port, version, adopted, runAs: input.runAs.kind, ms },
    'embedded database is ready',
  )
  return {
    ...urls,
    version,
    port: postmaster.port,
    pid: postmaster.identity.pid,
    adopted,
    logFile,
    stop() {
      unwatch()
      stopping ??= stopPostmaster(postmaster, cluster, log).finally(unlock)
      return stopping
    },
    interrupt() {
      unwatch()
      if (isAlive(postmaster.identity) === 'alive') signal(postmaster.identity.pid, 'SIGINT')
    },
  }
}

/** Programs, user and passwords for the cluster of this folder; makes the cluster if there is none. */
export async function prepareCluster(options: EmbeddedOptions, dataDir: string): Promise<ClusterInput> {
  const { log } = options
  const cluster = path.join(dataDir, clusterName)
  const major = clusterMajor(dataDir)
  const binaries = findBinaries(major, major === undefined ? options.binaries : 'any')
  const runAs = chooseRunAs(binaries.postgres, major === undefined ? undefined : cluster, options.runAs)
  openWay(runAs, dataDir, binaries.postgres)
  const { credentials, isNew } = readOrCreateCredentials(dataDir)
  const input = { dataDir, binaries, runAs, credentials, fsync: options.fsync ?? true }
  if (major === undefined) {
    log.info({ dataDir, major: binaries.major, programs: binaries.source }, 'making a new database cluster')
    await createCluster(input)
    markToldToCluster(dataDir)
    return input
  }
  // A cluster of root's that must now be run by a real user, because namespaces became forbidden here.
  if (runAs.kind === 'user' && statSync(cluster).uid === 0) giveTo(runAs, cluster)
  if (isNew) {
    log.warn({ dataDir }, 'the file with the database passwords was missing; setting new ones')
    const live = await findLivePostmaster(cluster, log)
    if (live) await stopPostmaster(live, cluster, log)
    await resetPasswords(input)
    markToldToCluster(dataDir)
  }
  return input
}

/** The proof that this is our cluster and takes our password. Returns the version of the server. */
async function logIn(url: string, logFile: string): Promise<string> {
  const client = new pg.Client(clientConfig(url, { connectTimeoutMs: 60_000, queryTimeoutMs: 60_000 }))
  try {
    await client.connect()
    const result = await client.query<{ version: string }>("select current_setting('server_version') as version")
    return result.rows[0]?.version ?? ''
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'unknown'
    throw new EmbeddedPostgresError(
      'start_failed',
      `The embedded database runs but does not let us in: ${reason}. If its passwords were changed, remove credentials.json in its folder. Its log: ${logFile}`,
      error,
    )
  } finally {
    await client.end().catch(() => {})
  }
}
