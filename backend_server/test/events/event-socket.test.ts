import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { type ApiError, defaultTeamId, type LabEvent, rooms } from '@virtualpytest/shared'
import { sql } from 'kysely'
import type { Socket as Client } from 'socket.io-client'
import type { EventFeed } from '../../src/features/events/index.ts'
import { type EventLab, emit, newEvent, next, startEventLab, until, writeUntil, writtenSeqs } from './event-lab.ts'

interface Acknowledgment extends Partial<ApiError> {
  after?: number
  oldest?: number
}

const ask = (client: Client, name: string, payload?: unknown): Promise<Acknowledgment> =>
  client.timeout(5000).emitWithAck(name, payload) as Promise<Acknowledgment>

/** Subscribes on every connect with the number of the last event received, as clients are meant to do. */
function follow(client: Client, wanted: string[] = ['team'], start = 0) {
  const seen = { events: [] as LabEvent[], connects: 0, last: start }
  client.on('event', (event: LabEvent) => {
    seen.events.push(event)
    seen.last = event.seq
  })
  client.on('connect', () => {
    seen.connects += 1
    client.emit('subscribe', { rooms: wanted, after: seen.last }, () => {})
  })
  return seen
}

async function streamWithCuts(t: TestContext, lab: EventLab, client: Client, cuts: number): Promise<void> {
  const seen = follow(client)
  const writing = new AbortController()
  const writers = writeUntil(lab.db, writing.signal, 8)
  for (let cut = 0; cut < cuts; cut += 1) {
    await pause(150 + Math.random() * 300)
    lab.cutAll()
  }
  writing.abort()
  await writers
  const written = await writtenSeqs(lab.db)
  await until(() => seen.last >= (written.at(-1) ?? 0), 'the last event')
  assert.deepEqual(
    seen.events.map((event) => event.seq),
    written,
  )
  assert.ok(seen.connects > cuts / 2, `${seen.connects} connections for ${cuts} cuts`)
  t.diagnostic(`${written.length} events, ${seen.connects} connections: 0 lost, 0 doubled, in order`)
}

test('N11 T21 W6: 8 writers, the websocket is cut every few hundred ms: nothing lost, nothing doubled, in order', async (t) => {
  const lab = await startEventLab(t)
  await streamWithCuts(t, lab, lab.connect(), 12)
})

test('N11 T21: the same for a client that only polls', async (t) => {
  const lab = await startEventLab(t)
  await streamWithCuts(t, lab, lab.connect({ transports: ['polling'] }), 8)
})

test('N11: a client that begins with polling and moves to a websocket misses nothing on the way', async (t) => {
  const lab = await startEventLab(t)
  const client = lab.connect({ transports: ['polling', 'websocket'] })
  const seen = follow(client)
  const writing = new AbortController()
  const writers = writeUntil(lab.db, writing.signal, 2)
  await until(() => client.connected && client.io.engine.transport.name === 'websocket', 'the upgrade')
  await until(() => seen.events.length > 100, '100 events')
  writing.abort()
  await writers
  const written = await writtenSeqs(lab.db)
  await until(() => seen.last >= (written.at(-1) ?? 0), 'the last event')
  assert.deepEqual(
    seen.events.map((event) => event.seq),
    written,
  )
})

test('an event has its documented form, and the acknowledgment says from where', async (t) => {
  const lab = await startEventLab(t)
  const client = lab.connect()
  await next(client, 'connect')
  await emit(lab.db, newEvent())
  assert.deepEqual(await ask(client, 'subscribe', { rooms: ['team'] }), { success: true, after: 1 })
  const arriving = next<LabEvent>(client, 'event')
  await emit(lab.db, newEvent({ type: 'run.running', data: { status: 'running' } }))
  const event = await arriving
  assert.deepEqual(event, {
    seq: 2,
    type: 'run.running',
    subject: { kind: 'run', id: 'r1' },
    data: { status: 'running' },
    at: event.at,
  })
  assert.match(event.at, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
  await sql`delete from events`.execute(lab.db.kysely)
  assert.deepEqual(await ask(client, 'subscribe', { rooms: ['host:x'], after: 0 }), { success: true, after: 2, oldest: 3 })
})

test('one socket may subscribe several times: rooms add up, and no event comes twice', async (t) => {
  const lab = await startEventLab(t)
  const both = newEvent({ rooms: [rooms.team(defaultTeamId), 'host:h1'] })
  await emit(lab.db, both, newEvent({ rooms: ['host:h1'] }), newEvent())
  const client = lab.connect()
  const received: number[] = []
  client.on('event', (event: LabEvent) => received.push(event.seq))
  await next(client, 'connect')
  await ask(client, 'subscribe', { rooms: ['team'], after: 0 })
  await until(() => received.length === 2, 'the room of the team')
  await ask(client, 'subscribe', { rooms: ['host:h1'], after: 0 })
  await until(() => received.length === 3, 'what the second room adds')
  assert.deepEqual(await ask(client, 'unsubscribe', { rooms: ['team'] }), { success: true })
  await emit(lab.db, newEvent(), both)
  await until(() => received.length === 4, 'the room that is left')
  assert.deepEqual(await ask(client, 'unsubscribe'), { success: true })
  await emit(lab.db, both)
  await ask(client, 'subscribe', { rooms: ['run:11111111-2222-4333-8444-555555555555'] })
  assert.deepEqual(received, [1, 3, 2, 5])
})

test('N13: another team sees nothing, and its room is refused', async (t) => {
  const lab = await startEventLab(t, { authMode: 'required' })
  const otherTeam = await lab.addTeam('other')
  const mine = await lab.addToken(defaultTeamId)
  const theirs = await lab.addToken(otherTeam)
  const ann = lab.connect({ auth: { token: mine.secret } })
  const bob = lab.connect({ extraHeaders: { authorization: `Bearer ${theirs.secret}` } })
  const annSees = follow(ann, ['team', 'host:h1', 'device:h1:device1'])
  const bobSees = follow(bob, ['team', 'host:h1', 'device:h1:device1'])
  await Promise.all([next(ann, 'connect'), next(bob, 'connect')])
  const refused = await ask(bob, 'subscribe', { rooms: [`team:${defaultTeamId}`] })
  assert.equal(refused.code, 'forbidden')
  assert.equal((await ask(bob, 'subscribe', { rooms: ['team'], team_id: defaultTeamId })).code, 'forbidden')
  const everywhere = ['host:h1', 'device:h1:device1', rooms.team(defaultTeamId), rooms.team(otherTeam)]
  await emit(
    lab.db,
    newEvent({ rooms: everywhere, subjectId: 'mine' }),
    newEvent({ rooms: everywhere, teamId: otherTeam, subjectId: 'theirs' }),
  )
  const subjects = (seen: typeof annSees) =>
    new Set(seen.events.filter((one) => one.type === 'run.log').map((one) => one.subject.id))
  await until(() => subjects(annSees).size > 0 && subjects(bobSees).size > 0, 'an event for each')
  assert.deepEqual([...subjects(annSees)], ['mine'])
  assert.deepEqual([...subjects(bobSees)], ['theirs'])
})

test('a login is needed in required mode, in both namespaces, and a token of another team is refused', async (t) => {
  const lab = await startEventLab(t, { authMode: 'required' })
  const token = await lab.addToken(defaultTeamId)
  const otherTeam = await lab.addTeam('other')
  const refusalOf = async (namespace: string, more: Parameters<EventLab['connect']>[0]) => {
    return (await next<Error & { data?: ApiError }>(lab.connect(more, namespace), 'connect_error')).data
  }
  for (const namespace of ['/', '/agent']) {
    const refusal = await refusalOf(namespace, {})
    assert.equal(refusal?.code, 'unauthorized')
    assert.equal(refusal?.success, false)
    assert.match(refusal?.request_id ?? '', /^[0-9a-f-]{36}$/)
    assert.equal((await refusalOf(namespace, { auth: { token: 'vpt_wrong' } }))?.code, 'unauthorized')
    assert.equal(
      (await refusalOf(namespace, { auth: { token: token.secret }, query: { team_id: otherTeam } }))?.code,
      'forbidden',
    )
    await next(lab.connect({ auth: { token: `Bearer ${token.secret}` } }, namespace), 'connect')
  }
})

test('a revoked token ends its sockets', async (t) => {
  const lab = await startEventLab(t, { authMode: 'required', recheckMs: 50 })
  const token = await lab.addToken(defaultTeamId)
  const client = lab.connect({ auth: { token: token.secret } })
  await next(client, 'connect')
  const ended = next<string>(client, 'disconnect')
  await sql`update api_tokens set revoked_at = now()`.execute(lab.db.kysely)
  assert.equal(await ended, 'io server disconnect')
})

test('bad messages are answered with the error envelope and never end the server or the socket', async (t) => {
  const lab = await startEventLab(t)
  const client = lab.connect()
  await next(client, 'connect')
  const bad: unknown[] = [
    undefined,
    null,
    1,
    'team',
    [],
    {},
    { rooms: 'team' },
    { rooms: [] },
    { rooms: ['nope'] },
    { rooms: [{}] },
    { rooms: ['team'], after: -1 },
    { rooms: ['team'], after: 'x' },
    { rooms: ['team'], after: 1e300 },
    { rooms: Array.from({ length: 101 }, () => 'team') },
    { rooms: [`host:${'x'.repeat(500)}`] },
    Buffer.from('binary'),
  ]
  for (const payload of bad) {
    const answer = await ask(client, 'subscribe', payload)
    assert.equal(answer.code, 'validation_error', JSON.stringify(payload))
    assert.equal(answer.success, false)
  }
  assert.equal((await ask(client, 'unsubscribe', { rooms: 'team' })).code, 'validation_error')
  const complaint = next<ApiError>(client, 'error')
  client.emit('subscribe', { rooms: ['nope'] })
  client.emit('subscribe')
  client.emit('unsubscribe')
  client.emit('no such message', { a: 1 })
  assert.equal((await complaint).code, 'validation_error')
  assert.deepEqual(await ask(client, 'subscribe', { rooms: ['host:\0nul'], after: 0 }), { success: true, after: 0 })
  assert.equal((await ask(client, 'subscribe', { rooms: ['team'] })).success, true)
  const received = next(client, 'event')
  await emit(lab.db, newEvent())
  await received
})

test('a slow socket is not read ahead for; when it takes data again it gets everything in order', async (t) => {
  let handed = 0
  const wrapFeed = (feed: EventFeed): EventFeed => ({
    ...feed,
    open: (subscriber) =>
      feed.open({
        ...subscriber,
        send(events) {
          handed += events.length
          return subscriber.send(events)
        },
      }),
  })
  const lab = await startEventLab(t, { wrapFeed })
  const client = lab.connect()
  const seen = follow(client)
  await next(client, 'connect')
  await emit(lab.db, newEvent())
  await until(() => seen.events.length === 1, 'the first event')
  const [connection] = lab.connections
  assert.ok(connection)
  // The server's end of the wire takes nothing more, as when the client has stopped reading and all buffers are full.
  connection.cork()
  const payload = 'x'.repeat(10_000)
  for (let round = 0; round < 20; round += 1) {
    await emit(lab.db, ...Array.from({ length: 100 }, () => newEvent({ data: { payload } })))
  }
  await until(() => handed > 1, 'a first batch')
  await pause(500)
  assert.ok(handed < 500, `${handed} of 2001 events were handed to a socket that takes none`)
  connection.uncork()
  await until(() => seen.events.length === 2001, 'all events', 20_000)
  assert.deepEqual(
    seen.events.map((event) => event.seq),
    await writtenSeqs(lab.db),
  )
})

test('task_complete reaches the sockets of its team, once each, without subscribing', async (t) => {
  const asked: string[] = []
  const lab = await startEventLab(t, {
    async taskResult(runId) {
      asked.push(runId)
      if (runId === 'broken') throw new Error('no row today')
      return { result: { exit_code: 0 }, execution_time: 1.5, execution_logs: 'log', success: true, error: null }
    },
  })
  const otherTeam = await lab.addTeam('other')
  const mine = [lab.connect(), lab.connect({ transports: ['polling'] })]
  const theirs = lab.connect({ query: { team_id: otherTeam } })
  const heard: unknown[][] = [[], [], []]
  ;[...mine, theirs].forEach((client, index) => {
    client.on('task_complete', (payload) => heard[index]?.push(payload))
  })
  await Promise.all([...mine, theirs].map((client) => next(client, 'connect')))
  await emit(
    lab.db,
    newEvent({ type: 'run.running' }),
    newEvent({ type: 'run.finished', subjectId: 'run-1', data: { success: true } }),
  )
  await emit(
    lab.db,
    newEvent({ type: 'run.finished', subjectId: 'broken', data: { success: false, error_message: 'host lost' } }),
  )
  await until(() => heard[0]?.length === 2 && heard[1]?.length === 2, 'both ends')
  const expected = [
    {
      task_id: 'run-1',
      success: true,
      result: { exit_code: 0 },
      error: null,
      execution_time: 1.5,
      execution_logs: 'log',
    },
    { task_id: 'broken', success: false, result: null, error: 'host lost', execution_time: null, execution_logs: '' },
  ]
  assert.deepEqual(heard, [expected, expected, []])
  assert.deepEqual(asked, ['run-1', 'broken'], 'the result is read once per server')
  await emit(lab.db, newEvent({ teamId: otherTeam, type: 'run.finished', subjectId: 'run-2' }))
  await until(() => heard[2]?.length === 1, 'the end of their run')
  assert.equal(heard[0]?.length, 2)
  for (const client of [...mine, theirs]) client.disconnect()
  await until(() => lab.feed.readers() === 0, 'nobody listens any more')
})

test('the agent namespace accepts sessions and says that there is no assistant, to that session only', async (t) => {
  const lab = await startEventLab(t)
  const otherTeam = await lab.addTeam('other')
  const ann = lab.connect({}, '/agent')
  assert.deepEqual(await next(ann, 'connected'), { status: 'ok' })
  const bob = lab.connect({}, '/agent')
  const eve = lab.connect({ query: { team_id: otherTeam } }, '/agent')
  await Promise.all([next(bob, 'connected'), next(eve, 'connected')])
  const events: Record<string, { type: string; error?: string }[]> = { ann: [], bob: [], eve: [] }
  for (const [name, client] of Object.entries({ ann, bob, eve })) client.on('agent_event', (one) => events[name]?.push(one))
  for (const client of [ann, eve]) {
    const joined = next(client, 'joined')
    client.emit('join_session', { session_id: 's1' })
    assert.deepEqual(await joined, { session_id: 's1' })
  }
  ann.emit('send_message', { session_id: 's1', message: 'hello', team_id: 'x', allow_auto_navigation: true, current_page: '/' })
  await until(() => events.ann?.length === 2, 'the answer')
  assert.deepEqual(
    events.ann?.map((one) => one.type),
    ['error', 'session_ended'],
  )
  assert.equal(events.ann?.[0]?.error, 'not configured')
  bob.emit('send_message', { session_id: 's2', message: 'not joined' })
  await until(() => events.bob?.length === 2, 'an answer without having joined')
  const complaint = next<{ error: unknown }>(ann, 'error')
  for (const payload of [undefined, null, 'x', {}, { session_id: 1 }, { session_id: 's1' }]) ann.emit('send_message', payload)
  assert.equal(typeof (await complaint).error, 'string')
  ann.emit('leave_session', { session_id: 's1' })
  ann.emit('approve', { session_id: 's1', approved: true })
  eve.emit('send_message', { session_id: 's1', message: 'x' })
  await until(() => events.eve?.length === 2, 'her own answer only')
  assert.equal(events.ann?.length, 2)
  assert.equal(events.bob?.length, 2)
})

test('S23: the path works without its prefix, with a slash at the end and with a doubled prefix', async (t) => {
  const lab = await startEventLab(t)
  for (const path of ['/socket.io', '/server/socket.io', '/server/server/socket.io']) {
    for (const transports of [['polling'], ['websocket']]) {
      for (const addTrailingSlash of [true, false]) {
        const client = lab.connect({ path, transports, addTrailingSlash })
        await Promise.race([
          next(client, 'connect'),
          next<Error>(client, 'connect_error').then((error) => {
            throw new Error(`${path} ${transports.join()}: ${error.message}`)
          }),
        ])
        client.disconnect()
      }
    }
  }
  const elsewhere = await fetch(`${lab.url}/server/nothing`)
  assert.equal(elsewhere.status, 404)
})

test('pages of unknown origins get no CORS permission and no websocket', async (t) => {
  const lab = await startEventLab(t)
  const poll = async (origin: string) => {
    const response = await fetch(`${lab.url}/socket.io/?EIO=4&transport=polling`, { headers: { origin } })
    await response.text()
    return response.headers.get('access-control-allow-origin')
  }
  assert.equal(await poll('http://localhost:5073'), 'http://localhost:5073')
  assert.equal(await poll('https://evil.example'), null)
  const connect = (origin: string) => lab.connect({ extraHeaders: { origin }, reconnection: false })
  await next(connect('https://evil.example'), 'connect_error')
  await next(connect('http://localhost:5073'), 'connect')
  await next(connect(lab.url), 'connect')
})

test('W6: at a stop sockets are cut without a farewell, so that clients come back by themselves', async (t) => {
  const lab = await startEventLab(t)
  const clients = [lab.connect(), lab.connect({ transports: ['polling'] }), lab.connect({}, '/agent')]
  await Promise.all(clients.map((client) => next(client, 'connect')))
  const reasons = Promise.all(clients.map((client) => next<string>(client, 'disconnect')))
  const before = Date.now()
  await lab.stop()
  assert.ok(Date.now() - before < 3000, `the stop took ${Date.now() - before} ms`)
  assert.deepEqual(new Set(await reasons), new Set(['transport close']))
  assert.ok(clients.every((client) => client.active))
})
