import assert from 'node:assert/strict'
import test from 'node:test'
import { phoneHost } from '../contract/wire-examples.ts'
import { openServerSlot } from '../reliability/server-process.ts'
import { withAdmin } from '../test-cluster.ts'
import { createTestDatabase, testAdminUrl } from '../test-db.ts'
import { until } from '../until.ts'

// B3: secrets are changed by a restart with the new value, and nothing is lost. Passwords of the embedded database, keys of
// hosts and the keys of Grafana have tests of their own.

test('B3: password of the database and key of the hosts are changed by a restart, and everything is still there', async (t) => {
  const { url } = await createTestDatabase(t)
  const owner = `rotated_${crypto.randomUUID().slice(0, 8)}`
  const asOwner = (password: string): string => {
    const own = new URL(url)
    own.username = owner
    own.password = password
    return own.href
  }
  const alter = (sql: string): Promise<unknown> => withAdmin(adminUrl.href, (admin) => admin.query(sql))
  const adminUrl = new URL(await testAdminUrl())
  adminUrl.pathname = new URL(url).pathname
  await alter(`create role ${owner} login password 'the first one'`)
  // The whole database belongs to a role of this test alone, whose password may change.
  await alter(`grant ${owner} to ${new URL(url).username}; grant create on database ${adminUrl.pathname.slice(1)} to ${owner}`)
  await alter(`drop schema virtualpytest cascade; drop schema report cascade`)

  const env: Record<string, string> = { API_KEY: 'the-first-key-of-hosts', HOST_REGISTRATION: 'key' }
  let databaseUrl = asOwner('the first one')
  const slot = await openServerSlot(t, { databaseUrl: () => databaseUrl, env })
  const register = async (key: string): Promise<number> => {
    const answer = await fetch(`${slot.url}/server/system/register`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-api-key': key },
      body: JSON.stringify({ ...phoneHost, host_name: 'rack-1' }),
    })
    await answer.text()
    return answer.status
  }
  slot.start()
  await slot.waitUntilReady()
  assert.equal(await register('the-first-key-of-hosts'), 200)

  await alter(`alter role ${owner} password 'the:second/one@'`)
  assert.equal(await register('the-first-key-of-hosts'), 200, 'open connections go on')
  const { child, ended } = slot.current()
  child.kill('SIGTERM')
  assert.equal(await ended, 0)

  databaseUrl = asOwner('the:second/one@')
  env.API_KEY = 'the-second-key-of-hosts'
  slot.start()
  await slot.waitUntilReady()
  const listed = (await (await fetch(`${slot.url}/server/system/getAllHosts?include_offline=true`)).json()) as {
    hosts: { host_name: string }[]
  }
  assert.deepEqual(
    listed.hosts.map(({ host_name }) => host_name),
    ['rack-1'],
  )
  assert.deepEqual([await register('the-first-key-of-hosts'), await register('the-second-key-of-hosts')], [401, 200])

  databaseUrl = asOwner('the first one')
  const { child: second, ended: secondEnded } = slot.current()
  second.kill('SIGTERM')
  await secondEnded
  const wrong = slot.start()
  await until('the log names the password that was forgotten', () =>
    wrong.lines.some((line) => JSON.stringify(line).includes('Check user and password in DATABASE_URL')),
  )
})
