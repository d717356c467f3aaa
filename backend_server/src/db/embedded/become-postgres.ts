import { mkdirSync, realpathSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Log } from '../log.ts'
import { clusterName } from './cluster.ts'
import { prepareCluster } from './embedded-postgres.ts'
import { serverArgs } from './launch.ts'
import { takeOwnerLock } from './owner-lock.ts'
import { findLivePostmaster, stopPostmaster } from './postmaster.ts'
import { postgresEnvironment } from './run-as.ts'

/**
 * Turns this process into PostgreSQL: no second Node stays in memory, the supervisor's signals and the exit status are
 * PostgreSQL's own, and its log goes to our standard error. The lock of the folder goes along, because process id and start time
 * stay; whoever supervises must touch it every second, since PostgreSQL does not.
 *
 * Returns false, and leaves nothing behind, where PostgreSQL must run as another user than we do, or when `isStopping`.
 */
export async function becomePostgres(options: {
  dataDir: string
  log: Log
  port: number
  isStopping: () => boolean
}): Promise<false> {
  const { log, port, isStopping } = options
  mkdirSync(options.dataDir, { recursive: true, mode: 0o700 })
  const dataDir = realpathSync(options.dataDir)
  const cluster = path.join(dataDir, clusterName)
  const lock = await takeOwnerLock(path.join(dataDir, 'owner.lock'))
  try {
    const input = await prepareCluster({ dataDir, log, port }, dataDir)
    // Of a supervisor that was killed; it would hold the port and the files.
    const live = await findLivePostmaster(cluster, log)
    if (live) await stopPostmaster(live, cluster, log)
    if (input.runAs.kind === 'self' && process.execve && !isStopping()) {
      writeFileSync(path.join(dataDir, 'port'), `${port}\n`)
      const args = serverArgs(input, port)
      log.info({ port, major: input.binaries.major, programs: input.binaries.source }, 'starting the embedded database')
      process.chdir('/')
      process.execve(input.binaries.postgres, [input.binaries.postgres, ...args], postgresEnvironment)
    }
  } catch (error) {
    lock.release()
    throw error
  }
  lock.release()
  return false
}
