import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import Fastify from 'fastify'
import { answerRepeatsOnce } from '../src/http/repeats.ts'

async function start(t: TestContext) {
  const app = Fastify()
  let now = 0
  let done = 0
  answerRepeatsOnce(app, () => now)
  app.post('/host/press', async (request, reply) => {
    done += 1
    const { ms = 0, bytes = 0 } = request.body as { ms?: number; bytes?: number }
    await pause(ms)
    return reply.code(202).send({ number: done, ...(bytes > 0 && { text: 'x'.repeat(bytes) }) })
  })
  app.post('/host/fail', () => {
    done += 1
    throw new Error('no')
  })
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  t.after(() => app.close())
  const press = async (id: string | undefined, body: object = {}, path = '/host/press', signal?: AbortSignal) => {
    const response = await fetch(`${url}${path}`, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json', ...(id !== undefined && { 'x-request-id': id }) },
      ...(signal && { signal }),
    })
    return { status: response.status, body: (await response.json()) as { number: number } }
  }
  return { press, done: () => done, later: (ms: number) => (now += ms) }
}

test('a repeated call is carried out once and answered alike; others are not', async (t) => {
  const { press, done } = await start(t)
  const first = await press('a')
  assert.deepEqual(await press('a'), first)
  assert.deepEqual([first.status, done()], [202, 1])
  await press('b')
  await press(undefined)
  await press(undefined)
  assert.equal(done(), 4)
  assert.equal((await press('c', {}, '/host/fail')).status, 500)
  assert.equal((await press('c', {}, '/host/fail')).status, 500)
  assert.equal(done(), 5, 'a failure is an answer too')
})

test('a call whose connection was cut goes on, and its repetition waits for the same answer', async (t) => {
  const { press, done } = await start(t)
  const cut = new AbortController()
  const first = press('a', { ms: 300 }, '/host/press', cut.signal)
  await pause(100)
  cut.abort()
  await assert.rejects(first)
  assert.deepEqual((await press('a', { ms: 300 })).body, { number: 1 })
  assert.equal(done(), 1)
})

test('answers are kept for two minutes and within limits of memory', async (t) => {
  const { press, done, later } = await start(t)
  await press('a')
  later(121_000)
  await press('b')
  await press('a')
  assert.equal(done(), 3)
  for (let count = 0; count < 40; count += 1) await press(`large-${count}`, { bytes: 1_000_000 })
  await press('large-0', { bytes: 1 })
  await press('large-39')
  assert.equal(done(), 44, 'the oldest was forgotten, the newest was not')
})
