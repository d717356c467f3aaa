import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ApiError, defaultTeamId, rooms } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { ask, type EventLab, emit, follow, newEvent, next, startEventLab, until } from './event-lab.ts'

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
  await until('an event for each', () => subjects(annSees).size > 0 && subjects(bobSees).size > 0)
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
  await until('both ends', () => heard[0]?.length === 2 && heard[1]?.length === 2)
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
  await until('the end of their run', () => heard[2]?.length === 1)
  assert.equal(heard[0]?.length, 2)
  for (const client of [...mine, theirs]) client.disconnect()
  await until('nobody listens any more', () => lab.feed.readers() === 0)
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
  await until('the answer', () => events.ann?.length === 2)
  assert.deepEqual(
    events.ann?.map((one) => one.type),
    ['error', 'session_ended'],
  )
  assert.equal(events.ann?.[0]?.error, 'not configured')
  bob.emit('send_message', { session_id: 's2', message: 'not joined' })
  await until('an answer without having joined', () => events.bob?.length === 2)
  const complaint = next<{ error: unknown }>(ann, 'error')
  for (const payload of [undefined, null, 'x', {}, { session_id: 1 }, { session_id: 's1' }]) ann.emit('send_message', payload)
  assert.equal(typeof (await complaint).error, 'string')
  ann.emit('leave_session', { session_id: 's1' })
  ann.emit('approve', { session_id: 's1', approved: true })
  eve.emit('send_message', { session_id: 's1', message: 'x' })
  await until('her own answer only', () => events.eve?.length === 2)
  assert.equal(events.ann?.length, 2)
  assert.equal(events.bob?.length, 2)
})

test('S23: the path works without its prefix, with a slash at the end and with a doubled prefix', async (t) => {
  const lab = await startEventLab(t)
  for (const path of ['/socket.io', '/server/socket.io', '/server/server/socket.io']) {
    for (const transports of [['polling'], ['websocket']]) {
      for (const addTrailingSlash of [true, false]) {
        const client = lab.connect({ path, transports, addTrailingSlash })
        const refused = new Promise<never>((_resolve, reject) => client.once('connect_error', reject))
        await Promise.race([next(client, 'connect'), refused])
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

test('an oversized message ends its own connection, by websocket and by polling, and nobody else’s', async (t) => {
  const lab = await startEventLab(t)
  const quiet = lab.connect()
  await next(quiet, 'connect')
  assert.equal((await ask(quiet, 'subscribe', { rooms: ['team'] })).success, true)
  const large = 'x'.repeat(300 * 1024)
  for (const transport of ['websocket', 'polling'] as const) {
    const client = lab.connect({ transports: [transport], reconnection: false })
    await next(client, 'connect')
    const ended = next<string>(client, 'disconnect', 30_000)
    client.emit('subscribe', { rooms: [`host:${large}`] })
    assert.match(await ended, /^transport (close|error)$/, transport)
  }
  const received = next(quiet, 'event', 30_000)
  await emit(lab.db, newEvent())
  await received
})
