import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { sql } from 'kysely'
import { inTransaction } from '../../src/db/database.ts'
import { defaultTimings } from '../../src/timings.ts'
import { startLab, until } from '../start-lab.ts'
import { dialLink, natHost, registerNatHost, take } from './dial-link.ts'

test('who may open a link: the agent that registered, and nobody else', async (t) => {
  const lab = await startLab(t, { hosts: 0 })
  const ask = async (options: Parameters<typeof dialLink>[2]) => {
    const { refusal } = await dialLink(t, lab, options)
    return refusal && [refusal.status, refusal.body.code]
  }
  assert.deepEqual(await ask({}), [404, 'not_registered'])
  await registerNatHost(lab)
  assert.deepEqual(await ask({ facts: { callKey: '' } }), [400, 'validation_error'])
  assert.deepEqual(await ask({ facts: { callKey: 'another-call-key-0000' } }), [401, 'unauthorized'])
  assert.deepEqual(await ask({ facts: { bootId: 'boot-0' } }), [409, 'conflict'])
  assert.deepEqual(await ask({ headers: { origin: lab.url } }), [403, 'forbidden'])
  assert.deepEqual(await ask({ protocol: 'chat' }), [400, 'validation_error'])
  assert.deepEqual(await ask({ path: '/server/hosts/other' }), [404, 'route_not_found'])
  assert.equal(await ask({}), undefined)
  assert.equal(await ask({ path: '/hosts/link' }), undefined, 'behind nginx, which strips the prefix')
  const plain = await lab.get('/server/hosts/link')
  assert.equal(plain.status, 404, 'a plain request is no link')
})

test('who may open a link where hosts need keys: no key, a key of another host or team, the shared and its own key', async (t) => {
  const lab = await startLab(t, { hosts: 0, env: { HOST_REGISTRATION: 'key', API_KEY: 'shared-key-of-this-lab' } })
  const own = (await lab.post<{ key: string }>('/server/hosts', { host_name: natHost.hostName })).body.key
  const other = (await lab.post<{ key: string }>('/server/hosts', { host_name: 'nat-2' })).body.key
  const { token } = await lab.addTeam('strangers')
  const strange = (await lab.post<{ key: string }>('/server/hosts', { host_name: 'nat-3' }, { token })).body.key
  await registerNatHost(lab, {}, { 'x-api-key': own })
  const ask = async (key: string | undefined) => {
    const { refusal } = await dialLink(t, lab, { headers: key === undefined ? {} : { 'x-api-key': key } })
    return refusal?.status
  }
  assert.equal(await ask(undefined), 401)
  assert.equal(await ask('vpth_made-up-key-of-nobody-000000'), 401)
  assert.equal(await ask(other), 403)
  assert.equal(await ask(strange), 403, 'of another team')
  assert.equal(await ask('shared-key-of-this-lab'), undefined)
  assert.equal(await ask(own), undefined)
})

test('an agent learns that its link is open when it can be called over it, not before', async (t) => {
  const lab = await startLab(t, { hosts: 0 })
  await registerNatHost(lab)
  let isOpen = false
  // A database that takes its time, as on a machine with too much to do.
  const dialed = await inTransaction(lab.db, async (tx) => {
    await sql`lock table host_links in share mode`.execute(tx.kysely)
    const dialing = dialLink(t, lab, {}).finally(() => {
      isOpen = true
    })
    await until('the link waits for its row', async () => {
      const waiting = await sql`select 1 from pg_locks where relation = 'host_links'::regclass and not granted`.execute(tx.kysely)
      return waiting.rows.length > 0
    })
    assert.equal(isOpen, false)
    return { dialing }
  })
  await dialed.dialing
  assert.equal((await take(lab)).status, 200)
})

test('of two links of a host the newer one counts, and none of an earlier start', async (t) => {
  const lab = await startLab(t, { hosts: 0 })
  await registerNatHost(lab)
  const asked: string[] = []
  const handle =
    (name: string): NonNullable<Parameters<typeof dialLink>[2]>['handle'] =>
    (_request, response) => {
      asked.push(name)
      response.end('{"success":true}')
    }
  const first = await dialLink(t, lab, { handle: handle('first') })
  assert.equal((await take(lab)).status, 200)
  const second = await dialLink(t, lab, { handle: handle('second') })
  assert.equal((await first.closed).code, 4001)
  assert.equal((await take(lab)).status, 200)
  assert.deepEqual(asked, ['first', 'second'])

  await registerNatHost(lab, { boot_id: 'boot-2', call_key: 'call-key-of-the-next-start' })
  assert.equal((await second.closed).code, 4002, 'fenced by the registration of the next start')
  const late = await dialLink(t, lab, {})
  assert.equal(late.refusal?.status, 401)
  const next = await dialLink(t, lab, {
    facts: { bootId: 'boot-2', callKey: 'call-key-of-the-next-start' },
    handle: handle('third'),
  })
  assert.equal(next.refusal, undefined)
  await until('the link counts', async () => (await take(lab)).status === 200)
  assert.equal(asked.at(-1), 'third')
})

test('what is no HTTP/2 in frames of a fair size ends its link, and nothing else', async (t) => {
  const lab = await startLab(t, { hosts: 0 })
  await registerNatHost(lab)
  const large = await dialLink(t, lab, { raw: true })
  large.socket.send(randomBytes(2 * 1024 * 1024))
  assert.equal((await large.closed).code, 1009, 'oversized')
  const text = await dialLink(t, lab, { raw: true })
  text.socket.send('hello')
  assert.equal((await text.closed).code, 1003)
  const garbage = await dialLink(t, lab, { raw: true })
  garbage.socket.send(randomBytes(20_000))
  await garbage.closed
  // A header list far beyond what any answer needs.
  const wordy = await dialLink(t, lab, {
    handle(_request, response) {
      for (let count = 0; count < 40; count += 1) response.setHeader(`x-filler-${count}`, 'x'.repeat(1000))
      response.end('{"success":true}')
    },
  })
  const answer = await take(lab)
  assert.ok([502, 503].includes(answer.status), answer.text)
  wordy.socket.terminate()
  await dialLink(t, lab, {})
  await until('a good link works', async () => (await take(lab)).status === 200)
})

test('a peer that is gone without a word is noticed by missing signs of life', async (t) => {
  const lab = await startLab(t, { hosts: 0, timings: { linkPingMs: 200 } })
  await registerNatHost(lab)
  const link = await dialLink(t, lab, {})
  await pause(700)
  assert.equal(link.socket.readyState, link.socket.OPEN, 'one that answers stays')
  // It no longer reads, so it answers no ping.
  link.socket.pause()
  await until('the link is gone', async () => {
    const { body } = await lab.get<{ hosts: { link: unknown }[] }>('/server/system/getAllHosts')
    return body.hosts[0]?.link === null
  })
  assert.ok(defaultTimings.linkPingMs * 3 <= 28_000, 'three rounds and what a slow timer adds are at most 30 s')
})
