import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { leaseSeconds } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { io } from 'socket.io-client'
import { firstRow } from '../../src/db/query.ts'
import { startLab } from '../start-lab.ts'
import { patienceMs, until } from '../until.ts'
import { addPerson, leaseIdOf } from './person.ts'

const apiKey = 'shared-key-of-this-lab'

/** A wire between client and server that can be cut without either side being told, as by a laptop that is closed. */
async function startWire(t: TestContext, url: string): Promise<{ url: string; cut: () => void }> {
  const ends: Socket[] = []
  const wire = createServer((client) => {
    const server = connect(Number(new URL(url).port), '127.0.0.1')
    ends.push(client, server)
    for (const one of [client, server]) one.on('error', () => undefined)
    client.pipe(server)
    server.pipe(client)
  })
  wire.listen(0, '127.0.0.1')
  await once(wire, 'listening')
  t.after(() => {
    for (const one of ends) one.destroy()
    wire.close()
  })
  return {
    url: `http://127.0.0.1:${(wire.address() as AddressInfo).port}`,
    cut() {
      for (const one of ends) one.unpipe()
      for (const one of ends) one.pause()
    },
  }
}

test('N2: a socket whose other end is gone without a word keeps no device longer than 45 s after its last sign, and holds up no stop', async (t) => {
  const lab = await startLab(t, {
    env: { AUTH_MODE: 'required', API_KEY: apiKey },
    host: { apiKey },
    timings: { heartbeatMs: 200, sweepMs: 500 },
  })
  const ann = await addPerson(lab, 'Ann')
  const lease = leaseIdOf(await ann.take())
  const wire = await startWire(t, lab.url)
  const tab = io(wire.url, { path: '/server/socket.io', auth: { token: ann.token }, transports: ['websocket'], forceNew: true })
  t.after(() => tab.disconnect())
  const held = (await tab.timeout(patienceMs).emitWithAck('hold', { lease_id: lease })) as { success: boolean }
  assert.equal(held.success, true)
  const left = async (): Promise<number> =>
    (
      await firstRow(
        lab.db,
        sql<{ left: number }>`select extract(epoch from expires_at - now())::float8 as left from leases where id = ${lease}`,
      )
    )?.left ?? 0
  wire.cut()
  const cutAt = performance.now()
  // The server takes the socket for open for 20 s more, and beats meanwhile, but in the name of nobody.
  const [passed, seconds] = await until('the lease runs out', async () => {
    const passedSeconds = (performance.now() - cutAt) / 1000
    const secondsLeft = await left()
    return secondsLeft < leaseSeconds.heartbeat - 10 && ([passedSeconds, secondsLeft] as const)
  })
  assert.ok(passed + seconds < leaseSeconds.heartbeat + 10, `${seconds} s left ${passed} s after the cut`)

  // Nor does the server wait for its farewell, which would take 30 s.
  const stopAt = performance.now()
  await lab.restart()
  assert.ok(performance.now() - stopAt < 25_000, `${performance.now() - stopAt} ms`)
})
