import assert from 'node:assert/strict'
import path from 'node:path'
import test from 'node:test'
import { createBackupHealth, listBackups } from '../../src/features/backups/index.ts'
import { temporaryFolder } from '../db/tools.ts'
import { startLab, until } from '../start-lab.ts'

interface SystemHealth {
  status: string
  reasons: string[]
  backup: { every_hours: number | null; last_verified_at: string | null; age_hours: number | null }
}

test('N12: the server backs up its own database, once a day, and says when it did last', async (t) => {
  const folder = path.join(temporaryFolder(t), 'backups')
  const lab = await startLab(t, { env: { BACKUP_DIR: folder, BACKUP_HOURS: '24' }, timings: { backupCheckMs: 100 } })
  const health = await until('a backup', async () => {
    const { body } = await lab.get<SystemHealth>('/server/system/health')
    return body.backup.last_verified_at !== null && body
  })
  assert.deepEqual([health.status, health.reasons, health.backup.every_hours], ['healthy', [], 24])
  assert.ok(health.backup.age_hours !== null && health.backup.age_hours < 1)
  const [made, ...others] = await listBackups(folder)
  assert.equal(made?.kind, 'daily')
  assert.deepEqual(others, [])

  await lab.restart()
  const again = await lab.get<SystemHealth>('/server/system/health')
  assert.equal(again.body.backup.last_verified_at, made?.createdAt, 'known from the start on')
  assert.equal((await listBackups(folder)).length, 1, 'the next one is due tomorrow')
})

test('B1: a backup that fails is a reason in the health of the system, and leaves the server ready', async (t) => {
  const lab = await startLab(t, {
    env: { BACKUP_DIR: '/proc/no-such-place', BACKUP_HOURS: '24' },
    timings: { backupCheckMs: 100 },
  })
  const health = await until('the failure is told', async () => {
    const { body } = await lab.get<SystemHealth>('/server/system/health')
    return body.status === 'degraded' && body
  })
  assert.match(health.reasons.join(), /the last backup failed: .*\/proc\/no-such-place/)
  assert.equal((await lab.get('/readyz')).status, 200)
})

test('B1: 26 hours without a backup are too many, also when there has never been one', () => {
  const hour = 3_600_000
  let now = Date.UTC(2026, 10, 23)
  const health = createBackupHealth({ hours: 24, now: () => now })
  assert.deepEqual(health.reasons(), [])
  now += 25.9 * hour
  assert.deepEqual(health.reasons(), [])
  now += 0.2 * hour
  assert.deepEqual(health.reasons(), ['there is no backup after 26 hours'])
  health.noteNewest(new Date(now - 27 * hour).toISOString())
  assert.deepEqual(health.reasons(), ['the last verified backup is 27 hours old'])
  health.noteNewest(new Date(now).toISOString())
  assert.deepEqual(health.reasons(), [])
  health.noteFailure(new Error('the disk is full'))
  assert.deepEqual(health.reasons(), ['the last backup failed: the disk is full'])
  const none = createBackupHealth({ hours: 0, now: () => now })
  now += 1000 * hour
  assert.deepEqual([none.reasons(), none.view().every_hours], [[], null])
})
