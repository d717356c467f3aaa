import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import test from 'node:test'
import { closeClient, connectClient } from '../../src/db/client.ts'
import { startEmbeddedPostgres } from '../../src/db/embedded/index.ts'
import { migrate } from '../../src/db/migrate.ts'
import { seedLab } from '../backups/seed.ts'
import { cleanUp, temporaryFolder } from '../db/tools.ts'
import { silentLog } from '../test-cluster.ts'
import { createTestDatabase } from '../test-db.ts'
import { vpt } from './run-vpt.ts'

async function countRuns(url: string): Promise<number> {
  const client = await connectClient(url, { connectTimeoutMs: 30_000, queryTimeoutMs: 30_000 })
  try {
    return (await client.query<{ n: number }>('select count(*)::int as n from virtualpytest.runs')).rows[0]?.n ?? 0
  } finally {
    await closeClient(client)
  }
}

test('T19: vpt backup, backups and restore on the embedded database, whether it runs or not', async (t) => {
  const dataDir = temporaryFolder(t)
  const env = { DATA_DIR: dataDir, BACKUP_KEEP: '2' }
  const nothing = await vpt(t, ['backup'], env)
  assert.equal(nothing.code, 1)
  assert.match(nothing.stderr, /there is no database in .*DATA_DIR or DATABASE_URL/)

  const folder = path.join(dataDir, 'postgres')
  const running = await startEmbeddedPostgres({ dataDir: folder, log: silentLog, fsync: false })
  cleanUp(t, () => running.stop())
  await migrate({ url: running.url, log: silentLog })
  await seedLab(running.url, 40)

  const beside = await vpt(t, ['backup', '--json'], env)
  assert.equal(beside.code, 0, beside.stderr)
  const made = JSON.parse(beside.stdout) as { success: boolean; file: string; rows: number }
  assert.ok(made.success && made.rows > 40 && existsSync(made.file))
  assert.equal(path.dirname(made.file), path.join(dataDir, 'backups'))

  const refused = await vpt(t, ['restore', made.file], env)
  assert.equal(refused.code, 1)
  assert.match(refused.stderr, /not empty .*--replace/)

  await running.stop()
  const outside = path.join(temporaryFolder(t), 'lab.backup.gz')
  const stopped = await vpt(t, ['backup', '--out', outside], env)
  assert.equal(stopped.code, 0, stopped.stderr)
  assert.equal(stopped.stdout, `${outside}\n`)
  assert.equal((await vpt(t, ['backup', '--out', outside], env)).code, 1, 'nothing is written over')

  // Into an embedded database that is not there yet.
  const newData = temporaryFolder(t)
  const restored = await vpt(t, ['restore', outside], { DATA_DIR: newData })
  assert.equal(restored.code, 0, restored.stderr)
  assert.match(restored.stdout, /^Restored \d+ rows of \d+ tables .* counts and digests are equal/)
  const again = await startEmbeddedPostgres({ dataDir: path.join(newData, 'postgres'), log: silentLog, fsync: false })
  cleanUp(t, () => again.stop())
  assert.equal(await countRuns(again.url), 40)

  const listed = await vpt(t, ['backups', '--verify'], env)
  assert.equal(listed.code, 0, listed.stderr)
  assert.match(listed.stdout, /manual +\d+ +[\d.]+ kB +whole/)
  const content = readFileSync(made.file)
  writeFileSync(made.file, content.subarray(0, content.length - 50))
  const damaged = await vpt(t, ['backups', '--verify', '--json'], env)
  assert.equal(damaged.code, 1)
  assert.match(
    (JSON.parse(damaged.stdout) as { backups: { damage: string }[] }).backups[0]?.damage ?? '',
    /^The backup is damaged/,
  )
  const unusable = await vpt(t, ['restore', made.file, '--replace'], { DATA_DIR: newData })
  assert.equal(unusable.code, 1)
  assert.match(unusable.stderr, /The backup is damaged: .*Nothing was changed/)
  assert.equal(await countRuns(again.url), 40)
})

test('T19: vpt backup and restore on a database given by its address; the password is never shown', async (t) => {
  const source = await createTestDatabase(t)
  await seedLab(source.url, 5)
  const target = await createTestDatabase(t, { empty: true })
  const dataDir = temporaryFolder(t)
  const made = await vpt(t, ['backup'], { DATABASE_URL: source.url, DATA_DIR: dataDir })
  assert.equal(made.code, 0, made.stderr)
  assert.equal(readdirSync(path.join(dataDir, 'backups')).length, 1)
  const restored = await vpt(t, ['restore', made.stdout.trim(), '--database-url', target.url], { DATA_DIR: dataDir })
  assert.equal(restored.code, 0, restored.stderr)
  assert.equal(await countRuns(target.url), 5)

  const wrong = new URL(source.url)
  wrong.password = 'not-the-password'
  const refused = await vpt(t, ['backup'], { DATABASE_URL: wrong.href, DATA_DIR: dataDir })
  assert.equal(refused.code, 1)
  assert.match(refused.stderr, /password authentication failed[\s\S]*Check user and password in DATABASE_URL/)
  const said = [made, restored, refused].map((one) => one.stdout + one.stderr).join('')
  assert.ok(!said.includes('not-the-password') && !said.includes(new URL(source.url).password))
})
