import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import path from 'node:path'
import test from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { sql } from 'kysely'
import { restoreBackup, writeBackup } from '../../src/db/backup/index.ts'
import { closeClient, connectClient } from '../../src/db/client.ts'
import { inTransaction, openDatabase } from '../../src/db/database.ts'
import { migrate } from '../../src/db/migrate.ts'
import { complaintAbout, inspectServer } from '../../src/db/pooler.ts'
import { firstRow, often, rowsOf } from '../../src/db/query.ts'
import { seedLab } from '../backups/seed.ts'
import { silentLog } from '../test-cluster.ts'
import { createTestDatabase } from '../test-db.ts'
import { freePort, needsPgbouncer, startPgbouncer } from './pgbouncer.ts'
import { cleanUp, recordLog, temporaryFolder } from './tools.ts'

// S72: what stands before the database is recognized, and a transaction pooler (here PgBouncer) gets no session of ours to
// pass on to others.

const limits = { connectTimeoutMs: 30_000, queryTimeoutMs: 30_000 }

test('S72: a direct connection is recognized, with its version', async (t) => {
  const { url } = await createTestDatabase(t)
  const report = await inspectServer(url)
  assert.equal(report.mode, 'direct')
  assert.ok(report.versionNumber >= 150_000)
  assert.deepEqual(report.limits, [])
})

for (const [mode, poolSize] of [
  ['session', 5],
  ['transaction', 1],
  ['transaction', 5],
] as const) {
  test(`S72, D2: a ${mode} pooler with ${poolSize} backends is recognized`, { skip: needsPgbouncer }, async (t) => {
    const { url } = await createTestDatabase(t)
    const pooled = await startPgbouncer(t, url, mode, poolSize)
    for (let round = 0; round < 5; round += 1) assert.equal((await inspectServer(pooled)).mode, mode)
    const report = await inspectServer(pooled)
    assert.equal(report.limits.length, mode === 'transaction' ? 1 : 0)
  })
}

test('S72: a session pooler with one backend is recognized although the second client has to wait', {
  skip: needsPgbouncer,
}, async (t) => {
  const { url } = await createTestDatabase(t)
  assert.equal((await inspectServer(await startPgbouncer(t, url, 'session', 1))).mode, 'session')
})

for (const mode of ['session', 'transaction'] as const) {
  test(`S72, D2: statements, transactions and events work through a ${mode} pooler and leave its sessions as they were`, {
    skip: needsPgbouncer,
  }, async (t) => {
    const { url } = await createTestDatabase(t)
    const pooled = await startPgbouncer(t, url, mode, 12)
    const db = openDatabase({ url: pooled, log: silentLog })
    cleanUp(t, () => db.close())
    const teamId = '7fdeb4bb-3639-4ec3-959f-b54769a219ce'
    const work = async (n: number): Promise<void> => {
      for (let i = 0; i < 10; i += 1) {
        assert.equal(
          (await firstRow(db, often(sql<{ name: string }>`select name from teams where id = ${teamId}`)))?.name,
          'Default team',
        )
        await inTransaction(db, async (tx) => {
          await sql`insert into audit_log (actor_kind, action) values ('test', ${`${n}`})`.execute(tx.kysely)
          tx.emit({ teamId, type: 'run.log', subjectKind: 'run', subjectId: `${n}`, rooms: [], data: {} })
          await pause(Math.random() * 3)
        })
        await assert.rejects(sql`insert into teams (id, name) values (${teamId}, 'twice')`.execute(db.kysely), { code: '23505' })
      }
    }
    await Promise.all(Array.from({ length: 8 }, (_, n) => work(n)))
    assert.deepEqual(await rowsOf(db, sql`select count(*) as n, max(seq) - min(seq) + 1 as span from events`), [
      { n: 80, span: 80 },
    ])

    // Others who get the same backends: their settings must be the server's own.
    const others = await Promise.all(Array.from({ length: 6 }, () => connectClient(pooled, limits)))
    for (const other of others) {
      cleanUp(t, () => closeClient(other))
      const result = await other.query(
        `select current_setting('search_path') as path, current_setting('statement_timeout') as timeout,
                (select count(*)::int from pg_prepared_statements) as kept,
                (select count(*)::int from pg_locks l join pg_database d on d.oid = l.database
                  where l.locktype = 'advisory' and d.datname = current_database()) as locks`,
      )
      assert.deepEqual(result.rows, [{ path: '"$user", public', timeout: '0', kept: 0, locks: 0 }])
    }
  })
}

test('T18, D2: migrations of several servers go through a transaction pooler', { skip: needsPgbouncer }, async (t) => {
  const { url } = await createTestDatabase(t, { empty: true })
  const pooled = await startPgbouncer(t, url, 'transaction', 4)
  const results = await Promise.all(Array.from({ length: 5 }, () => migrate({ url: pooled, log: silentLog })))
  const applied = results.flatMap((one) => one.applied)
  assert.equal(new Set(applied).size, applied.length)
  assert.equal(applied.length, results[0]?.version)
})

test('N7: calls fail with 503 while the pooler is away and work again after its return', { skip: needsPgbouncer }, async (t) => {
  const { url } = await createTestDatabase(t)
  const gone = new URL(url)
  gone.port = String(await freePort())
  await assert.rejects(inspectServer(gone.href), { code: 'database_unavailable' })
  const log = recordLog()
  const db = openDatabase({ url: gone.href, log })
  cleanUp(t, () => db.close())
  await assert.rejects(db.ping(), { code: 'database_unavailable', status: 503 })
  const relay = net.createServer((socket) => {
    const onward = net.connect(Number(new URL(url).port), '127.0.0.1')
    socket.pipe(onward).pipe(socket)
    for (const end of [socket, onward]) end.on('error', () => {})
  })
  relay.listen(Number(gone.port), '127.0.0.1')
  await once(relay, 'listening')
  cleanUp(t, () => relay.close())
  await db.ping()
  assert.match(log.text, /reachable again/)
})

test('S72: an old server, another date style and another encoding are refused in a sentence', () => {
  const good = { version: '15.0', number: 150_000, pid: 1, dateStyle: 'ISO, MDY', encoding: 'UTF8' }
  assert.equal(complaintAbout(good), undefined)
  assert.match(complaintAbout({ ...good, version: '14.9', number: 140_009 }) ?? '', /PostgreSQL 14\.9, and version 15 or newer/)
  assert.match(complaintAbout({ ...good, dateStyle: 'German' }) ?? '', /DateStyle/)
  assert.match(complaintAbout({ ...good, encoding: 'LATIN1' }) ?? '', /UTF8/)
})

test('T19: a backup and a restore work through a transaction pooler and leave no setting behind', {
  skip: needsPgbouncer,
}, async (t) => {
  const source = await createTestDatabase(t)
  await seedLab(source.url, 50)
  const target = await createTestDatabase(t, { empty: true })
  const file = path.join(temporaryFolder(t), 'lab.backup.gz')
  await writeBackup({ url: await startPgbouncer(t, source.url, 'transaction', 1), file, kind: 'manual', product: '0.0.0-test' })
  const pooled = await startPgbouncer(t, target.url, 'transaction', 1)
  const { hasLiveServer } = await restoreBackup({ url: pooled, file, log: silentLog })
  assert.equal(hasLiveServer, false)
  const client = await connectClient(pooled, limits)
  cleanUp(t, () => closeClient(client))
  const left = await client.query(
    "select current_setting('search_path') as path, current_setting('statement_timeout') as timeout, current_setting('timezone') as zone",
  )
  const fresh = await connectClient(target.url, limits)
  cleanUp(t, () => closeClient(fresh))
  const usual = await fresh.query(
    "select current_setting('search_path') as path, current_setting('statement_timeout') as timeout, current_setting('timezone') as zone",
  )
  assert.deepEqual(left.rows, usual.rows)
})
