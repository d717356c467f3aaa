import assert from 'node:assert/strict'
import path from 'node:path'
import test from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { sql } from 'kysely'
import { openDatabase } from '../../src/db/database.ts'
import { startEmbeddedPostgres } from '../../src/db/embedded/index.ts'
import { signal } from '../../src/db/embedded/postmaster.ts'
import { processesIn } from '../../src/db/embedded/process-identity.ts'
import { rowsOf } from '../../src/db/query.ts'
import { silentLog } from '../test-cluster.ts'
import { cleanUp, programSources, randomFrom, temporaryFolder, until } from './tools.ts'

// N1: nothing that was acknowledged is lost. Kills every database process with -9 at random moments while four clients write;
// the judge is the list of acknowledged numbers in this process. A few seconds per kind of programs.

const roundsPerKind = 3
const writers = 4

for (const binaries of programSources) {
  test(`N1: kill -9 of all ${binaries} database processes during writes loses no acknowledged row`, async (t) => {
    const seed = Date.now() % 1_000_000
    const random = randomFrom(seed)
    const dataDir = temporaryFolder(t)
    const acknowledged = new Set<number>()
    let next = 0
    for (let round = 0; round < roundsPerKind; round += 1) {
      let exits = 0
      const postgres = await startEmbeddedPostgres({ dataDir, log: silentLog, binaries, onExit: () => (exits += 1) })
      cleanUp(t, () => postgres.stop())
      const db = openDatabase({ url: postgres.url, log: silentLog })
      cleanUp(t, () => db.close())
      await sql`create schema if not exists virtualpytest`.execute(db.kysely)
      await sql`create table if not exists kept (id int primary key)`.execute(db.kysely)
      const write = async (): Promise<void> => {
        for (;;) {
          next += 1
          const id = next
          try {
            await sql`insert into kept values (${id})`.execute(db.kysely)
          } catch {
            return
          }
          acknowledged.add(id)
        }
      }
      const before = acknowledged.size
      const writing = Array.from({ length: writers }, write)
      await until('something is written in this round', () => acknowledged.size > before)
      await pause(random() * 400)
      // Those that see their main process die end by themselves; `signal` takes that in its stride.
      for (const pid of processesIn(path.join(dataDir, 'pgdata'))) signal(pid, 'SIGKILL')
      await Promise.all(writing)
      await until('the end is noticed', () => exits === 1)
    }
    const postgres = await startEmbeddedPostgres({ dataDir, log: silentLog })
    cleanUp(t, () => postgres.stop())
    const db = openDatabase({ url: postgres.url, log: silentLog })
    const rows = await rowsOf(db, sql<{ id: number }>`select id from kept`)
    await db.close()
    const found = new Set(rows.map((row) => row.id))
    const lost = [...acknowledged].filter((id) => !found.has(id))
    t.diagnostic(`seed ${seed}: ${roundsPerKind} kills, ${acknowledged.size} rows acknowledged, ${lost.length} lost`)
    assert.deepEqual(lost, [])
  })
}
