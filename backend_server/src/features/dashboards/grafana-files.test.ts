import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { configureGrafana, type EmbeddedGrafana } from './embedded-grafana.ts'
import { EncryptionKeyError } from './encryption-key.ts'

function start(t: TestContext): { folder: string; input: EmbeddedGrafana } {
  const folder = mkdtempSync(path.join(tmpdir(), 'vpt-files-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return {
    folder,
    input: {
      secretsFolder: path.join(folder, 'secrets'),
      configFile: path.join(folder, 'grafana.ini'),
      dataFolder: path.join(folder, 'data'),
      provisioningFolder: path.join(folder, 'provisioning'),
      databaseUrl: 'postgresql://owner:secret-of-owner@127.0.0.1:5433/vpt',
      port: 3000,
      publicUrl: 'https://lab.example.org',
      frameOrigins: [],
    },
  }
}

test('E4: started three times, the generated files are the same, and only what is meant to be on is on', (t) => {
  const { input } = start(t)
  const readAll = (files: string[]): string[] => files.map((file) => readFileSync(file, 'utf8'))
  const first = configureGrafana(input)
  assert.equal(first.isChanged, true)
  const texts = readAll(first.files)
  for (let round = 0; round < 2; round += 1) {
    const again = configureGrafana(input)
    assert.equal(again.isChanged, false)
    assert.deepEqual(readAll(again.files), texts)
    assert.deepEqual(again.env, first.env)
  }
  const on: string[] = []
  let section = ''
  for (const line of (texts.at(-1) ?? '').split('\n')) {
    section = /^\[(.+)\]$/.exec(line)?.[1] ?? section
    if (/^enabled\s*=\s*true$/.test(line)) on.push(section)
  }
  assert.deepEqual(on, ['auth.jwt'])
  // The same as an environment, for the Grafana of the image, whose own file stays as it is.
  const onByEnvironment = Object.entries(first.env).filter(([name, value]) => name.endsWith('_ENABLED') && value === 'true')
  assert.deepEqual(
    onByEnvironment.map(([name]) => name),
    ['GF_AUTH_JWT_ENABLED'],
  )
  for (const value of Object.values(first.env)) assert.ok(!value.includes('secret-of-owner'))
})

test('G5, S97: no file holds the password of the database owner, and only its owner and group read any', (t) => {
  const { input } = start(t)
  for (const file of configureGrafana(input).files) {
    assert.ok(!readFileSync(file, 'utf8').includes('secret-of-owner'), file)
    assert.equal(statSync(file).mode & 0o007, 0, file)
  }
})

test('E9: another key than that of an existing Grafana database is refused, and nothing is replaced', (t) => {
  const { folder, input } = start(t)
  const first = configureGrafana(input)
  const database = path.join(input.dataFolder, 'grafana.db')
  writeFileSync(database, 'encrypted')
  configureGrafana(input)
  const before = first.files.map((file) => readFileSync(file, 'utf8'))
  const other = 'another-key-that-nobody-may-see'
  assert.throws(
    () => configureGrafana({ ...input, secretKey: other }),
    (error) => {
      assert.ok(error instanceof EncryptionKeyError)
      assert.match(error.message, /was encrypted with another key.*GF_SECURITY_SECRET_KEY.*or remove .*data/)
      assert.ok(!error.message.includes(other))
      return true
    },
  )
  assert.deepEqual(
    first.files.map((file) => readFileSync(file, 'utf8')),
    before,
  )
  // Secrets that were lost are another key too.
  rmSync(input.secretsFolder, { recursive: true })
  assert.throws(() => configureGrafana(input), EncryptionKeyError)
  // The advice works.
  rmSync(path.join(folder, 'data'), { recursive: true })
  const rotated = configureGrafana({ ...input, secretKey: other })
  assert.equal(rotated.env.GF_SECURITY_SECRET_KEY, other)
  writeFileSync(database, 'encrypted')
  configureGrafana({ ...input, secretKey: other })
})
