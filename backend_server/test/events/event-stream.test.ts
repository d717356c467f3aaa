import assert from 'node:assert/strict'
import { get, type IncomingMessage, request } from 'node:http'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { type ApiError, defaultTeamId, type LabEvent } from '@virtualpytest/shared'
import { sql } from 'kysely'
import type { EventFeed } from '../../src/features/events/index.ts'
import { type EventLab, emit, newEvent, startEventLab, until, writeUntil, writtenSeqs } from './event-lab.ts'

interface Frame {
  id?: string
  event?: string
  data?: string
  retry?: string
  comment?: string
}

/** Reads a stream as browsers do: an event counts when its empty line has arrived. */
function readFrames(response: IncomingMessage, onFrame: (frame: Frame) => void): void {
  let rest = ''
  response.setEncoding('utf8')
  response.on('data', (text: string) => {
    const blocks = (rest + text).split('\n\n')
    rest = blocks.pop() ?? ''
    for (const block of blocks) {
      const lines = block.split('\n').map((line) => {
        const [, name = '', value = ''] = /^([^:]*): ?(.*)$/s.exec(line) ?? []
        return [name === '' ? 'comment' : name, value]
      })
      onFrame(Object.fromEntries(lines) as Frame)
    }
  })
  response.on('error', () => {})
}

async function open(lab: EventLab, query = '', headers: Record<string, string> = {}) {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    get(`${lab.url}/server/events${query}`, { headers, agent: false }, resolve).on('error', reject)
  })
  const frames: Frame[] = []
  const stream = {
    response,
    frames,
    ended: false,
    seqs: () => frames.filter((frame) => frame.id !== undefined).map((frame) => Number(frame.id)),
    close: () => response.destroy(),
  }
  response.once('close', () => {
    stream.ended = true
  })
  readFrames(response, (frame) => frames.push(frame))
  return stream
}

test('N11 T21: 8 writers, the stream is cut every few hundred ms and resumed by Last-Event-ID: complete and in order', async (t) => {
  const lab = await startEventLab(t)
  const writing = new AbortController()
  const writers = writeUntil(lab.db, writing.signal, 8)
  const received: number[] = []
  let connections = 0
  let written: number[] | undefined
  const reading = (async () => {
    while (written === undefined || received.length < written.length) {
      const last = received.at(-1)
      // An EventSource keeps the URL it began with and tells the last id beside it.
      const headers = last === undefined ? undefined : { 'last-event-id': String(last) }
      const stream = await open(lab, '?rooms=team&after=0', headers).catch(() => undefined)
      if (!stream) continue
      connections += 1
      let taken = 0
      const take = () => {
        received.push(...stream.seqs().slice(taken))
        taken = stream.seqs().length
        return stream.ended || (written !== undefined && received.length >= written.length)
      }
      await until('an end', take)
      stream.close()
    }
  })()
  for (let cut = 0; cut < 10; cut += 1) {
    await until('the connection after a cut', () => connections > cut)
    await pause(150 + Math.random() * 300)
    lab.cutAll()
  }
  writing.abort()
  await writers
  written = await writtenSeqs(lab.db)
  await reading
  assert.deepEqual(received, written)
  assert.ok(connections > 5, `${connections} connections`)
  t.diagnostic(`${written.length} events, ${connections} connections: 0 lost, 0 doubled, in order`)
})

test('W3: the stream begins at once, with the headers of every answer, and is kept alive by comments', async (t) => {
  const lab = await startEventLab(t, { heartbeatMs: 30 })
  const stream = await open(lab, '', { origin: 'http://localhost:5073' })
  await until('the first bytes', () => stream.frames.length > 0)
  const { headers, statusCode } = stream.response
  assert.equal(statusCode, 200)
  assert.match(headers['content-type'] ?? '', /^text\/event-stream/)
  assert.equal(headers['cache-control'], 'no-store')
  assert.equal(headers['x-accel-buffering'], 'no')
  assert.equal(headers['access-control-allow-origin'], 'http://localhost:5073')
  assert.equal(headers['access-control-allow-credentials'], 'true')
  assert.match(headers['x-request-id'] as string, /^[0-9a-f-]{36}$/)
  assert.equal(headers['x-content-type-options'], 'nosniff')
  assert.match(stream.frames[0]?.retry ?? '', /^\d{4}$/)
  assert.equal(stream.frames[0]?.comment, 'after=0')
  await until('two heartbeats', () => stream.frames.filter((frame) => frame.comment === '').length >= 2)
  await emit(lab.db, newEvent({ type: 'run.running', data: { text: 'two\nlines' } }))
  await until('the event', () => stream.seqs().length === 1)
  const frame = stream.frames.find((one) => one.id !== undefined)
  assert.equal(frame?.event, 'run.running')
  const event = JSON.parse(frame?.data ?? '') as LabEvent
  assert.equal(event.seq, 1)
  assert.deepEqual(event.data, { text: 'two\nlines' })
  stream.close()
  await until('the end is noticed', () => lab.feed.readers() === 0)
})

test('N13: rooms are filtered by team, and wrong ones are refused before the stream begins', async (t) => {
  const lab = await startEventLab(t, { authMode: 'required' })
  const otherTeam = await lab.addTeam('other')
  const { secret } = await lab.addToken(otherTeam)
  const authorization = { authorization: `Bearer ${secret}` }
  const refuse = async (query: string, headers: Record<string, string>) => {
    const response = await fetch(`${lab.url}/server/events${query}`, { headers })
    return [response.status, ((await response.json()) as ApiError).code]
  }
  assert.deepEqual(await refuse('', {}), [401, 'unauthorized'])
  assert.deepEqual(await refuse(`?team_id=${defaultTeamId}`, authorization), [403, 'forbidden'])
  assert.deepEqual(await refuse(`?rooms=team:${defaultTeamId}`, authorization), [403, 'forbidden'])
  assert.deepEqual(await refuse('?rooms=nothing', authorization), [400, 'validation_error'])
  assert.deepEqual(await refuse('?rooms=', authorization), [400, 'validation_error'])
  assert.deepEqual(await refuse('?after=-1', authorization), [400, 'validation_error'])
  assert.equal(lab.feed.readers(), 0)
  const stream = await open(lab, '?rooms=host:h1,team&after=0', authorization)
  await emit(lab.db, newEvent({ rooms: ['host:h1'] }), newEvent({ rooms: ['host:h1'], teamId: otherTeam, subjectId: 'theirs' }))
  const events = () =>
    stream.frames.filter((frame) => frame.event === 'run.log').map((frame) => JSON.parse(frame.data ?? '') as LabEvent)
  await until('the event', () => events().length > 0)
  assert.deepEqual(
    events().map((event) => event.subject.id),
    ['theirs'],
  )
  stream.close()
})

test('events that are no longer kept are named, HEAD ends, and a revoked token ends the stream', async (t) => {
  const lab = await startEventLab(t, { authMode: 'required', recheckMs: 50 })
  const { secret } = await lab.addToken(defaultTeamId)
  const authorization = { authorization: `Bearer ${secret}` }
  await emit(lab.db, newEvent(), newEvent())
  await sql`delete from events where seq <= 2`.execute(lab.db.kysely)
  const stream = await open(lab, '?after=0', authorization)
  await until('the first bytes', () => stream.frames.length > 0)
  assert.equal(stream.frames[0]?.comment, 'after=2 oldest=3')
  const head = await fetch(`${lab.url}/server/events`, { method: 'HEAD', headers: authorization })
  assert.equal(head.status, 200)
  assert.match(head.headers.get('content-type') ?? '', /^text\/event-stream/)
  await sql`update api_tokens set revoked_at = now()`.execute(lab.db.kysely)
  await until('the end of the stream', () => stream.ended)
})

test('a slow reader is not read ahead for, and gets everything when it reads again', async (t) => {
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
  const stream = await open(lab)
  await until('the first bytes', () => stream.frames.length > 0)
  stream.response.pause()
  const payload = 'x'.repeat(10_000)
  for (let round = 0; round < 40; round += 1) {
    await emit(lab.db, ...Array.from({ length: 100 }, () => newEvent({ data: { payload } })))
  }
  await until('a first batch', () => handed > 0)
  await pause(300)
  // What the buffers of the system take counts as sent: some megabytes of 40.
  assert.ok(handed < 2000, `${handed} of 4000 events were handed to a reader that takes none`)
  stream.response.resume()
  await until('all events', () => stream.seqs().length === 4000)
  assert.deepEqual(stream.seqs(), await writtenSeqs(lab.db))
  stream.close()
})

test('W6: open streams end cleanly at a stop, also those that nobody reads', async (t) => {
  const lab = await startEventLab(t)
  const stream = await open(lab)
  const stuck = request(`${lab.url}/server/events?after=0`, { agent: false })
  stuck.on('error', () => {})
  stuck.on('response', (response: IncomingMessage) => response.pause())
  stuck.end()
  await until('two streams', () => lab.feed.readers() === 2)
  const payload = 'x'.repeat(100_000)
  for (let round = 0; round < 10; round += 1)
    await emit(lab.db, ...Array.from({ length: 10 }, () => newEvent({ data: { payload } })))
  await until('all events', () => stream.seqs().length === 100)
  const before = Date.now()
  await lab.stop()
  assert.ok(Date.now() - before < 20_000, `the stop took ${Date.now() - before} ms`)
  await until('the end', () => stream.ended)
  assert.equal(stream.response.complete, true, 'ended, not cut')
})
