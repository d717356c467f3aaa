import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { type ApiError, defaultTeamId, type LabEvent, rooms } from '@virtualpytest/shared'
import { sql } from 'kysely'
import type { Socket as Client } from 'socket.io-client'
import type { EventFeed } from '../../src/features/events/index.ts'
import { ask, type EventLab, emit, follow, newEvent, next, startEventLab, until, writeUntil, writtenSeqs } from './event-lab.ts'

async function streamWithCuts(t: TestContext, lab: EventLab, client: Client, cuts: number): Promise<void> {
  const seen = follow(client)
  const writing = new AbortController()
  const writers = writeUntil(lab.db, writing.signal, 8)
  for (let cut = 0; cut < cuts; cut += 1) {
    await pause(150 + Math.random() * 300)
    // A cut counts only when there is a connection again; how long that takes is the machine's affair.
    await until('the connection after a cut', () => seen.connects > cut)
    lab.cutAll()
  }
  writing.abort()
  await writers
  const written = await writtenSeqs(lab.db)
  await until('the last event', () => seen.last >= (written.at(-1) ?? 0))
  assert.deepEqual(
    seen.events.map((event) => event.seq),
    written,
  )
  assert.ok(seen.connects >= cuts, `${seen.connects} connections for ${cuts} cuts`)
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
  await until('the upgrade', () => client.connected && client.io.engine.transport.name === 'websocket')
  await until('100 events', () => seen.events.length > 100)
  writing.abort()
  await writers
  const written = await writtenSeqs(lab.db)
  await until('the last event', () => seen.last >= (written.at(-1) ?? 0))
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
  await until('the room of the team', () => received.length === 2)
  await ask(client, 'subscribe', { rooms: ['host:h1'], after: 0 })
  await until('what the second room adds', () => received.length === 3)
  assert.deepEqual(await ask(client, 'unsubscribe', { rooms: ['team'] }), { success: true })
  await emit(lab.db, newEvent(), both)
  await until('the room that is left', () => received.length === 4)
  assert.deepEqual(await ask(client, 'unsubscribe'), { success: true })
  await emit(lab.db, both)
  await ask(client, 'subscribe', { rooms: ['run:11111111-2222-4333-8444-555555555555'] })
  assert.deepEqual(received, [1, 3, 2, 5])
})

test('messages of a socket take effect in their order, and a flood of them is refused', async (t) => {
  const lab = await startEventLab(t)
  const client = lab.connect()
  const received: number[] = []
  client.on('event', (event: LabEvent) => received.push(event.seq))
  await next(client, 'connect')
  const answers = Array.from({ length: 60 }, () => [
    ask(client, 'subscribe', { rooms: ['team'] }),
    ask(client, 'unsubscribe'),
  ]).flat()
  const codes = (await Promise.all(answers)).map((answer) => answer.code)
  assert.deepEqual(new Set(codes), new Set([undefined, 'conflict']))
  assert.ok(codes.slice(0, 50).every((code) => code === undefined))
  await ask(client, 'subscribe', { rooms: ['host:h1'] })
  await emit(lab.db, newEvent(), newEvent({ rooms: ['host:h1'] }))
  await until('an event', () => received.length > 0)
  assert.deepEqual(received, [2])
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
  await until('the first event', () => seen.events.length === 1)
  const [connection] = lab.connections
  assert.ok(connection)
  // The server's end of the wire takes nothing more, as when the client has stopped reading and all buffers are full.
  connection.cork()
  const payload = 'x'.repeat(10_000)
  for (let round = 0; round < 20; round += 1) {
    await emit(lab.db, ...Array.from({ length: 100 }, () => newEvent({ data: { payload } })))
  }
  await until('a first batch', () => handed > 1)
  await pause(500)
  assert.ok(handed < 500, `${handed} of 2001 events were handed to a socket that takes none`)
  connection.uncork()
  await until('all events', () => seen.events.length === 2001)
  assert.deepEqual(
    seen.events.map((event) => event.seq),
    await writtenSeqs(lab.db),
  )
})

test('W6: at a stop sockets are cut without a farewell, so that clients come back by themselves', async (t) => {
  const lab = await startEventLab(t)
  const clients = [lab.connect(), lab.connect({ transports: ['polling'] }), lab.connect({}, '/agent')]
  await Promise.all(clients.map((client) => next(client, 'connect')))
  const reasons = Promise.all(clients.map((client) => next<string>(client, 'disconnect')))
  const before = Date.now()
  await lab.stop()
  assert.ok(Date.now() - before < 20_000, `the stop took ${Date.now() - before} ms`)
  for (const reason of await reasons) assert.match(reason, /^transport (close|error)$/)
  assert.ok(clients.every((client) => client.active))
})
