import assert from 'node:assert/strict'
import { lchownSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test from 'node:test'
import { ensureFolder } from '../../src/container/folders.ts'

test('F1, S87: a volume of another user is taken over, except what another container keeps there', {
  skip: process.getuid?.() === 0 ? false : 'needs root',
}, (t) => {
  const volume = mkdtempSync(path.join(tmpdir(), 'vpt-volume-'))
  t.after(() => rmSync(volume, { recursive: true, force: true }))
  for (const name of ['artifacts', 'postgres-service']) {
    mkdirSync(path.join(volume, name))
    writeFileSync(path.join(volume, name, 'file'), '')
  }
  for (const name of ['', 'artifacts', 'artifacts/file', 'postgres-service', 'postgres-service/file'])
    lchownSync(path.join(volume, name), 999, 999)
  ensureFolder(volume, { uid: 10_000, gid: 10_000 }, 0o755, ['postgres-service'])
  const ownerOf = (name: string): number => statSync(path.join(volume, name)).uid
  assert.deepEqual(['', 'artifacts', 'artifacts/file'].map(ownerOf), [10_000, 10_000, 10_000])
  assert.deepEqual(['postgres-service', 'postgres-service/file'].map(ownerOf), [999, 999])
  assert.equal(statSync(volume).mode & 0o777, 0o755)
})
