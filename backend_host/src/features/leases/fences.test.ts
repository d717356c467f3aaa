import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { openFences } from './fences.ts'

test('N3: what was admitted is on disk before a call goes on, and a call with a known token writes nothing', async (t) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'vpt-fences-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const file = path.join(folder, 'state', 'fences.json')
  const onDisk = async () => JSON.parse(await readFile(file, 'utf8')) as unknown
  const fences = await openFences(folder, () => undefined)
  const admit = async (token: number): Promise<void> => {
    fences.admit('device1', token)
    await fences.save()
  }
  await admit(4)
  assert.deepEqual(await onDisk(), { device1: { token: 4, tasks: [] } })
  // Each write is a file of its own that takes the place of the one before.
  const { ino, mtimeNs } = await stat(file, { bigint: true })
  for (let call = 0; call < 3; call += 1) await admit(4)
  const after = await stat(file, { bigint: true })
  assert.deepEqual([after.ino, after.mtimeNs], [ino, mtimeNs], 'keys would wait for the disk, those of other devices too')

  await Promise.all([admit(5), admit(5)])
  fences.remember('device1', 'task-1')
  await fences.save()
  assert.deepEqual(await onDisk(), { device1: { token: 5, tasks: ['task-1'] } })
  fences.forget('device1', 'task-1')
  await fences.save()
  assert.deepEqual(await onDisk(), { device1: { token: 5, tasks: [] } })
  const again = await openFences(folder, () => undefined)
  assert.throws(() => again.admit('device1', 4), { code: 'stale_token' })
})
