import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startLab } from '../start-lab.ts'

interface Taken {
  leases: { device_id: string; token: number }[]
}

test('N3: a person whose lease has ended cannot start a run or give back with the old token', async (t) => {
  const lab = await startLab(t, { env: { AUTH_MODE: 'required' } })
  const { token: ann } = await lab.addToken('ann', 'tester')
  const { token: bob } = await lab.addToken('bob', 'tester')
  const target = { host_name: 'lab-1', device_id: 'device1' }
  const first = await lab.post<Taken>('/server/control/takeControl', target, { token: ann })
  const old = first.body.leases[0]?.token ?? 0
  await lab.post('/server/control/releaseControl', { ...target, token: old }, { token: ann })
  const second = await lab.post<Taken>('/server/control/takeControl', target, { token: bob })
  const current = second.body.leases[0]?.token ?? 0
  assert.ok(current > old)

  const run = { ...target, script_name: 'zapping.ts' }
  for (const [path, body] of [
    ['/server/script/execute', { ...run, token: old }],
    ['/server/control/releaseControl', { ...target, token: old }],
  ] as const) {
    const refused = await lab.post<{ code: string }>(path, body, { token: ann })
    assert.equal(refused.status, 409, refused.text)
    assert.equal(refused.body.code, 'stale_token')
  }
  const runs = await lab.get<{ runs: unknown[] }>('/server/runs', { token: ann })
  assert.deepEqual(runs.body.runs, [])

  const borrowed = await lab.post('/server/script/execute', { ...run, token: current }, { token: bob })
  assert.equal(borrowed.status, 202, borrowed.text)
})
