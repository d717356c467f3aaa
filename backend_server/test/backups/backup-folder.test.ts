import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chownSync, mkdirSync, readdirSync, readFileSync, statfsSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import test from 'node:test'
import { writeBackup } from '../../src/db/backup/index.ts'
import { backupName, listBackups, makeBackup, removeOldBackups } from '../../src/features/backups/index.ts'
import { cleanUp, isRoot, recordLog, temporaryFolder } from '../db/tools.ts'
import { createTestDatabase } from '../test-db.ts'
import { seedLab } from './seed.ts'

// N12: backups are real: whole, few enough for the disk, readable by their owner only.

test('N12: the newest of each kind are kept, and nothing else is touched', async (t) => {
  const folder = temporaryFolder(t)
  const at = (day: number): Date => new Date(Date.UTC(2026, 10, day, 3, 15))
  for (let day = 1; day <= 5; day += 1) writeFileSync(path.join(folder, backupName(at(day), 6, 'daily')), 'x')
  for (let day = 1; day <= 2; day += 1) writeFileSync(path.join(folder, backupName(at(day), 6, 'migration')), 'x')
  writeFileSync(path.join(folder, 'notes.txt'), 'x')
  writeFileSync(path.join(folder, 'old.backup.gz.partial-1'), 'x')
  utimesSync(path.join(folder, 'old.backup.gz.partial-1'), at(1), at(1))
  writeFileSync(path.join(folder, 'young.backup.gz.partial-2'), 'x')

  assert.deepEqual(await removeOldBackups(folder, 2), [
    'vpt-20261103T031500Z-schema6-daily.backup.gz',
    'vpt-20261102T031500Z-schema6-daily.backup.gz',
    'vpt-20261101T031500Z-schema6-daily.backup.gz',
  ])
  assert.deepEqual(readdirSync(folder).sort(), [
    'notes.txt',
    'vpt-20261101T031500Z-schema6-migration.backup.gz',
    'vpt-20261102T031500Z-schema6-migration.backup.gz',
    'vpt-20261104T031500Z-schema6-daily.backup.gz',
    'vpt-20261105T031500Z-schema6-daily.backup.gz',
    'young.backup.gz.partial-2',
  ])
  assert.equal((await listBackups(folder))[0]?.createdAt, '2026-11-05T03:15:00.000Z')
  assert.deepEqual(await listBackups(path.join(folder, 'missing')), [])
})

test('N12: a backup and its folder are for their owner alone, and the log names no secret', async (t) => {
  const { url } = await createTestDatabase(t)
  await seedLab(url, 5)
  const folder = path.join(temporaryFolder(t), 'data', 'backups')
  const log = recordLog()
  const settings = { folder, keep: 2, product: '0.0.0-test' }
  const written = await makeBackup(settings, { url, kind: 'daily', schemaVersion: 6, log })
  assert.equal(statSync(written.file).mode & 0o777, 0o600)
  assert.equal(statSync(folder).mode & 0o777, 0o700)
  assert.match(log.text, /backup made and verified/)
  assert.ok(!log.text.includes(new URL(url).password))
  assert.deepEqual(readdirSync(folder), [path.basename(written.file)], 'nothing partial is left')
})

test('M6: a backup that does not fit is refused before anything is written, and a disk that fills up leaves nothing', async (t) => {
  if (!isRoot) {
    t.skip('needs root, to mount a small disk')
    return
  }
  const { url } = await createTestDatabase(t)
  await seedLab(url, 2000)
  const disk = path.join(temporaryFolder(t), 'disk')
  mkdirSync(disk)
  const mount = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=32m', 'tmpfs', disk], { encoding: 'utf8' })
  if (mount.status !== 0) {
    t.skip(`no disk can be mounted here: ${mount.stderr}`)
    return
  }
  cleanUp(t, () => spawnSync('umount', [disk]))
  const input = { url, kind: 'manual' as const, product: '0.0.0-test' }
  const fill = (leaveBytes: number): void => {
    const { bavail, bsize } = statfsSync(disk)
    writeFileSync(path.join(disk, `filler-${bavail}`), Buffer.alloc(bavail * bsize - leaveBytes))
  }

  // The look before comes first; then the disk is filled by somebody else while the backup is under way.
  await assert.rejects(
    writeBackup({ ...input, file: path.join(disk, 'a.backup.gz'), onProgress: (_table, index) => index === 0 && fill(16_384) }),
    { name: 'BackupError', code: 'no_space', message: /disk of .* is full/ },
  )
  assert.deepEqual(
    readdirSync(disk).filter((name) => !name.startsWith('filler')),
    [],
  )
  await assert.rejects(writeBackup({ ...input, file: path.join(disk, 'b.backup.gz') }), {
    code: 'no_space',
    message: /1 MB free and \d+ MB may be needed.*BACKUP_DIR/,
  })
  assert.deepEqual(
    readdirSync(disk).filter((name) => !name.startsWith('filler')),
    [],
  )
})

test('N12: a backup that is cut off by a stop ends at once and leaves nothing', async (t) => {
  const { url } = await createTestDatabase(t)
  await seedLab(url, 2000)
  const folder = temporaryFolder(t)
  const stopping = new AbortController()
  const startedAt = performance.now()
  await assert.rejects(
    writeBackup({
      url,
      file: path.join(folder, 'x.backup.gz'),
      kind: 'manual',
      product: '0',
      signal: stopping.signal,
      // While the rows of the largest table are under way.
      onProgress: (table) => table === 'runs' && setImmediate(() => stopping.abort()),
    }),
    { name: 'AbortError' },
  )
  assert.ok(performance.now() - startedAt < 30_000)
  assert.deepEqual(readdirSync(folder), [])
})

test('N12: what root makes belongs to the owner of the folder, who must be able to remove it', async (t) => {
  if (!isRoot) {
    t.skip('needs root')
    return
  }
  const { url } = await createTestDatabase(t)
  const dataDir = temporaryFolder(t)
  const nobody = 65_534
  chownSync(dataDir, nobody, nobody)
  const { file } = await writeBackup({ url, file: path.join(dataDir, 'backups', 'x.backup.gz'), kind: 'manual', product: '0' })
  assert.deepEqual([statSync(path.dirname(file)).uid, statSync(file).uid], [nobody, nobody])
})

test('N12: a folder that cannot be used is named with what to do', async (t) => {
  const { url } = await createTestDatabase(t)
  const file = path.join(temporaryFolder(t), 'a-file')
  writeFileSync(file, 'x')
  await assert.rejects(writeBackup({ url, file: path.join(file, 'x.backup.gz'), kind: 'manual', product: '0' }), {
    name: 'BackupError',
    message: /cannot be written.*BACKUP_DIR/,
  })
  assert.equal(readFileSync(file, 'utf8'), 'x')
})
