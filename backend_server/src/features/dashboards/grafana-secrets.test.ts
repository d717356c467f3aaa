import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { readOrCreateSecrets } from './grafana-secrets.ts'

test('S97: secrets are made once, differ between installations, and only their owner reads them', (t) => {
  const root = mkdtempSync(path.join(tmpdir(), 'vpt-secrets-'))
  t.after(() => rmSync(root, { recursive: true, force: true }))
  const folder = path.join(root, 'a/grafana')
  const first = readOrCreateSecrets(folder)
  assert.deepEqual(readOrCreateSecrets(folder), first)
  assert.deepEqual(readdirSync(folder), ['secrets.json'])
  assert.equal(statSync(path.join(folder, 'secrets.json')).mode & 0o777, 0o600)
  const other = readOrCreateSecrets(path.join(root, 'b'))
  const values = [...Object.values(first), ...Object.values(other)]
  assert.equal(new Set(values).size, values.length)
  for (const value of values) assert.match(value, /^[0-9a-f]+$/)
})

test('S75: a damaged file stops with advice and repeats nothing of it', (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'vpt-secrets-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  writeFileSync(path.join(folder, 'secrets.json'), '{"sessionKey":"hidden"')
  assert.throws(
    () => readOrCreateSecrets(folder),
    (error) => error instanceof Error && /is damaged\. Remove it/.test(error.message) && !/hidden/.test(error.stack ?? ''),
  )
})
