import { test } from 'node:test'
import type { Run } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { firstRow } from '../../src/db/query.ts'
import { startLab, until } from '../start-lab.ts'

test('a report that a lost connection to the database cut off is written at once when it is back', async (t) => {
  const lab = await startLab(t, { host: { runMs: () => 600_000 } })
  const submitted = await lab.post('/server/script/execute', {
    host_name: 'lab-1',
    device_id: 'device1',
    script_name: 'zapping.ts',
  })
  const id = String(submitted.body.run_id)
  await until('the host has the order', () => lab.hosts[0]?.runs.has(id))
  await lab.db.kysely.transaction().execute(async (kysely) => {
    await sql`lock table artifacts in exclusive mode`.execute(kysely)
    await lab.hosts[0]?.endRun(id)
    const writer = await until('the report waits for the lock', () =>
      firstRow(
        { kysely },
        sql<{ pid: number }>`
          select pid from pg_locks where relation = 'artifacts'::regclass and not granted`,
      ),
    )
    await sql`select pg_terminate_backend(${writer.pid})`.execute(kysely)
  })
  // Sooner than a report that cannot be made, which rests for a minute so that others get their turn.
  const isThere = async (): Promise<boolean> => (await lab.get<{ run: Run }>(`/server/runs/${id}`)).body.run.report_url !== null
  await until('the report is there', isThere, 45_000)
})
