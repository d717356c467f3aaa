import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startLab } from '../start-lab.ts'

/*
 * What a client writes into forwarding headers itself names nobody. Where people have no login, their address counts, as in the
 * original; it is the one that the trusted proxy saw, which stands last.
 */

const device = { host_name: 'lab-1', device_id: 'device1' }
const addressOfAnn = '10.0.0.1'

test('R6: behind a proxy, a forged first address does not give the rights of its owner', async (t) => {
  const lab = await startLab(t, { env: { TRUSTED_PROXIES: '1', AUTH_MODE: 'open' } })
  const from = (forwarded: string, more: Record<string, string> = {}) => ({ headers: { 'x-forwarded-for': forwarded, ...more } })
  const ann = { ...device, user_id: 'ann' }
  const bob = { ...device, user_id: 'bob' }
  assert.equal((await lab.post('/server/control/takeControl', ann, from(addressOfAnn))).status, 200)
  const forged = [
    from(`${addressOfAnn}, 10.0.0.2`),
    from(`${addressOfAnn}, ${addressOfAnn}, 10.0.0.2`),
    from('10.0.0.2', { forwarded: `for=${addressOfAnn}`, 'x-real-ip': addressOfAnn, 'x-client-ip': addressOfAnn }),
  ]
  for (const options of forged) {
    const taken = await lab.post<{ code: string }>('/server/control/takeControl', bob, options)
    assert.deepEqual([taken.status, taken.body.code], [423, 'device_locked'], JSON.stringify(options))
    const released = await lab.post<{ success: boolean }>('/server/control/releaseControl', bob, options)
    assert.equal(released.body.success, false, JSON.stringify(options))
  }
  assert.equal(
    (await lab.post<{ success: boolean }>('/server/control/releaseControl', ann, from(addressOfAnn))).body.success,
    true,
  )
})

test('R6: while login is on, no address is an identity', async (t) => {
  const lab = await startLab(t, { hosts: 1, env: { TRUSTED_PROXIES: '1', AUTH_MODE: 'required' } })
  const [ann, bob] = [await lab.addToken('ann', 'tester'), await lab.addToken('bob', 'tester')]
  // Both behind one router: the very same address, as the proxy saw it.
  const as = (token: string) => ({ token, headers: { 'x-forwarded-for': addressOfAnn } })
  assert.equal((await lab.post('/server/control/takeControl', device, as(ann.token))).status, 200)
  assert.equal((await lab.post('/server/control/takeControl', device, as(bob.token))).status, 423)
  assert.equal(
    (await lab.post<{ success: boolean }>('/server/control/releaseControl', device, as(bob.token))).body.success,
    false,
  )
  assert.equal((await lab.post<{ success: boolean }>('/server/control/releaseControl', device, as(ann.token))).body.success, true)
})
