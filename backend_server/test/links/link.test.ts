import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startLab, until } from '../start-lab.ts'
import { startLinkedAgent } from './start-linked-lab.ts'

test('a host whose port nobody reaches registers, links, runs a script, gives a screenshot and is driven', async (t) => {
  const lab = await startLab(t, { hosts: 0 })
  const agent = await startLinkedAgent(t, { serverUrl: lab.url })
  await until('the link is open', () => agent.output().includes('link to the server is open'), 20_000)

  const taken = await lab.post<{ success: boolean }>('/server/control/takeControl', {
    host_name: 'nat-1',
    device_id: 'device1',
    session_id: 'me',
  })
  assert.equal(taken.status, 200, taken.text)
  await lab.post('/server/control/releaseControl', { host_name: 'nat-1', device_id: 'device1', session_id: 'me' })

  const run = await lab.post<{ run_id: string }>('/server/script/execute', {
    host_name: 'nat-1',
    device_id: 'device1',
    script_name: 'zapping.ts',
    parameters: '--channels 2 --max-ms 5000',
  })
  assert.equal(run.status, 202, run.text)
  const ended = await until(
    'the run has ended',
    async () => {
      const { body } = await lab.get<{ run: { status: string } }>(`/server/runs/${run.body.run_id}`)
      return ['passed', 'failed', 'error'].includes(body.run.status) && body.run
    },
    60_000,
  )
  assert.equal(ended.status, 'passed', agent.output())
})
