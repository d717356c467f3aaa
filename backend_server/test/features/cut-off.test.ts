import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { leaseSeconds } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { io } from 'socket.io-client'
import { firstRow } from '../../src/db/query.ts'
import { startLab } from '../start-lab.ts'
import { addPerson, leaseIdOf } from './person.ts'

const apiKey = 'shared-key-of-this-lab'
const patienceMs = 30_000

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

test('N2: a socket whose other end is gone without a word keeps no device longer than 45 s after its last sign', async (t) => {
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
  // Twenty beats later the lease still ends at the same moment: the server beats in the name of nobody.
  for (let passed = 0; passed < 4; passed = (performance.now() - cutAt) / 1000) {
    const seconds = await left()
    // Read after the clock: what is left can only be less than what this allows.
    assert.ok(seconds <= leaseSeconds.heartbeat - passed + 1, `${seconds} s left ${passed} s after the cut`)
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
})
