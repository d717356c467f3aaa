import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { startEventLab, writeUntil } from './event-lab.ts'
test('dbg', async (t) => {
  const lab = await startEventLab(t)
  const client = lab.connect({ transports: ['polling'] })
  const t0 = Date.now()
  const say = (...a: unknown[]) => process.stderr.write(`${Date.now() - t0} ${a.join(' ')}\n`)
  let last = 0
  let n = 0
  client.on('event', (e: { seq: number }) => { last = e.seq; n += 1 })
  client.on('connect', () => { say('connect'); client.emit('subscribe', { rooms: ['team'], after: last }, () => {}) })
  client.on('disconnect', (r: string) => say('disconnect', r))
  client.on('connect_error', (e: Error) => say('connect_error', e.message))
  const w = new AbortController()
  const ws = writeUntil(lab.db, w.signal, 8)
  for (let i = 0; i < 8; i += 1) { await pause(300); say('cut', lab.connections.size, n); lab.cutAll() }
  await pause(500)
  w.abort(); await ws
})
