import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import path from 'node:path'
import test from 'node:test'
import { sql } from 'kysely'
import { closeClient, connectClient } from '../../src/db/client.ts'
import { clientConfig, redactUrl } from '../../src/db/connection-url.ts'
import { openDatabase } from '../../src/db/database.ts'
import { rowsOf } from '../../src/db/query.ts'
import { hintFor } from '../../src/db/unreachable.ts'
import { withAdmin } from '../test-cluster.ts'
import { testAdminUrl } from '../test-db.ts'
import { cleanUp, recordLog, temporaryFolder } from './tools.ts'

// S72, S74, S75: any password works, and none is ever shown.

const limits = { connectTimeoutMs: 30_000, queryTimeoutMs: 30_000 }

// Second column: how people paste it without %XX; false where the raw form means something else by the rules of URLs.
const passwords: [password: string, raw: boolean][] = [
  ['simple', true],
  ['p@ss@word', true],
  ['a/b/c', true],
  ['a?b=c&d', true],
  ['a#b', true],
  ['1/2', true],
  ['5432/x@y', true],
  [':colon:', true],
  ['100%', true],
  ['50%zz', true],
  ['a%41b', false],
  ['with space', true],
  [`quote'"\\$`, true],
  ['[brackets]{}', true],
  ['+&=;,~!*()', true],
  ['ÄÖÜ-ß-日本-🔑', true],
  ['.', true],
]

test('S72, E2, E3: passwords of every kind log in, written with %XX or pasted as they are', async (t) => {
  const adminUrl = await testAdminUrl()
  const { host } = new URL(adminUrl)
  const name = `vpt_password_${process.pid}`
  await withAdmin(adminUrl, async (admin) => {
    await admin.query(`create role ${name} login`)
    cleanUp(t, () => withAdmin(adminUrl, (again) => again.query(`drop role ${name}`)))
    for (const [password, raw] of passwords) {
      await admin.query(`alter role ${name} password ${admin.escapeLiteral(password)}`)
      for (const written of raw ? [encodeURIComponent(password), password] : [encodeURIComponent(password)]) {
        const client = await connectClient(`postgresql://${name}:${written}@${host}/postgres?application_name=a%40b`, limits)
        await closeClient(client)
      }
    }
  })
})

test('S75, L5: a refused, unreachable or unreadable URL never shows its password', async (t) => {
  const { host } = new URL(await testAdminUrl())
  const secret = 'do-not-SHOW-me'
  const urls = [
    `postgresql://nobody:${secret}@${host}/postgres`,
    `postgresql://nobody:${secret}@127.0.0.1:1/postgres`,
    `postgresql://nobody:${secret}@no-such-host.invalid/postgres`,
    `postgresql://nobody:${secret}@[::1]:1/postgres`,
    `postgresql://nobody:${secret}#x@127.0.0.1:1/postgres`,
  ]
  for (const url of urls) {
    const log = recordLog()
    const db = openDatabase({ url, log })
    cleanUp(t, () => db.close())
    const error: unknown = await db.ping().catch((caught: unknown) => caught)
    log.error({ err: error }, 'as the server would log it')
    assert.match(log.text, /database_unavailable/)
    assert.ok(!log.text.includes(secret), log.text)
  }
  for (const url of [
    `postgresql://nobody:${secret}@`,
    `mysql://nobody:${secret}@h/d`,
    `${secret}`,
    `postgresql://:${secret}@h/d`,
  ]) {
    assert.throws(
      () => clientConfig(url, limits),
      (error: Error) => !`${error.stack}`.includes(secret),
    )
    assert.ok(!redactUrl(url).includes(secret))
  }
})

test('S72, E3: address, user and database are read as PostgreSQL tools read them', () => {
  const parts = (url: string): string => {
    const { host, port, user, database } = clientConfig(url, limits)
    return `${user} ${host} ${port} ${database}`
  }
  assert.equal(parts('postgresql://u:p@h/d'), 'u h 5432 d')
  assert.equal(
    parts('postgres://postgres.abcd:p@aws-0-eu-central-1.pooler.supabase.com:6543/postgres'),
    'postgres.abcd aws-0-eu-central-1.pooler.supabase.com 6543 postgres',
  )
  assert.equal(parts('postgresql://u:p@[2001:db8::1]:5433/d'), 'u 2001:db8::1 5433 d')
  assert.equal(parts('postgresql://u%40x:p@h/my%20db'), 'u@x h 5432 my db')
  assert.equal(parts('postgresql://u@h'), 'u h 5432 u')
  assert.equal(parts('postgresql://u@/d?host=/var/run/postgresql'), 'u /var/run/postgresql 5432 d')
  assert.equal(redactUrl('postgresql://u:p@h/d?sslmode=require'), 'postgresql://u@h:5432/d')
})

test('S72: TLS follows sslmode, and Supabase gets it without asking', () => {
  const tls = (url: string): unknown => {
    const { ssl } = clientConfig(url, limits)
    if (typeof ssl !== 'object') return ssl
    return ssl.rejectUnauthorized === false ? 'encrypted' : 'verified'
  }
  assert.equal(tls('postgresql://u:p@127.0.0.1/d'), false)
  assert.equal(tls('postgresql://u:p@127.0.0.1/d?sslmode=prefer'), false)
  assert.equal(tls('postgresql://u:p@db.example.org/d?sslmode=prefer'), 'encrypted')
  assert.equal(tls('postgresql://u:p@db.example.org/d?sslmode=require'), 'encrypted')
  assert.equal(tls('postgresql://u:p@db.example.org/d?sslmode=verify-full'), 'verified')
  assert.equal(tls('postgresql://u.x:p@aws-0-eu.pooler.supabase.com/d'), 'encrypted')
  assert.throws(() => tls('postgresql://u:p@h/d?sslmode=maybe'), /sslmode/)
})

const hasOpenssl = spawnSync('openssl', ['version']).status === 0

test('S72: a TLS connection to a real server, and a certificate that is checked on request', {
  skip: hasOpenssl ? false : 'needs openssl',
}, async (t) => {
  const folder = temporaryFolder(t)
  const { startEmbeddedPostgres } = await import('../../src/db/embedded/index.ts')
  const dataDir = path.join(folder, 'data')
  const postgres = await startEmbeddedPostgres({ dataDir, log: recordLog(), fsync: false })
  cleanUp(t, () => postgres.stop())
  const key = path.join(dataDir, 'pgdata/server.key')
  const certificate = path.join(dataDir, 'pgdata/server.crt')
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost']
  execFileSync(
    'openssl',
    ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-keyout', key, '-out', certificate, ...subject],
    { stdio: 'ignore' },
  )
  await withAdmin(postgres.superuserUrl, async (admin) => {
    await admin.query('alter system set ssl to on')
    await admin.query('select pg_reload_conf()')
  })
  const url = new URL(postgres.url)
  url.hostname = 'localhost'
  const encrypted = async (query: string): Promise<boolean | undefined> => {
    const db = openDatabase({ url: `${url.href}?${query}`, log: recordLog() })
    try {
      const rows = await rowsOf(db, sql<{ ssl: boolean }>`select ssl from pg_stat_ssl where pid = pg_backend_pid()`)
      return rows[0]?.ssl
    } finally {
      await db.close()
    }
  }
  assert.equal(await encrypted('sslmode=disable'), false)
  assert.equal(await encrypted('sslmode=require'), true)
  assert.equal(await encrypted(`sslmode=verify-full&sslrootcert=${certificate}`), true)
  await assert.rejects(encrypted('sslmode=verify-full'), { code: 'database_unavailable' })
})

test('S72, D1: well-known causes come with a hint', () => {
  const failure = (code: string, text: string): Error => Object.assign(new Error(text), { code })
  const direct = 'postgresql://postgres:p@db.abcdefgh.supabase.co:5432/postgres'
  const unreachable = new AggregateError([failure('ENETUNREACH', 'connect ENETUNREACH 2a05:d014::1:5432')])
  assert.match(hintFor(direct, unreachable) ?? '', /session pooler/)
  assert.match(hintFor('postgresql://u:p@db.example.org/d', unreachable) ?? '', /IPv6 only.*IPv4/)
  const both = new AggregateError([failure('ENETUNREACH', 'connect ENETUNREACH 10.0.0.1:5432'), ...unreachable.errors])
  assert.equal(hintFor('postgresql://u:p@db.example.org/d', both), undefined)
  assert.match(hintFor(direct, failure('28P01', 'password authentication failed for user "postgres"')) ?? '', /%XX/)
  assert.match(hintFor(direct, failure('XX000', 'Tenant or user not found')) ?? '', /postgres\.PROJECT/)
})
