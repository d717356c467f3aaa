import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Run } from '@virtualpytest/shared'
import { startLab, until } from '../start-lab.ts'

test('a run goes from submit to report, and everything is there after a restart', async (t) => {
  const lab = await startLab(t)
  const submitted = await lab.post('/server/script/execute', {
    host_name: 'lab-1',
    device_id: 'device1',
    script_name: 'zapping.ts',
    parameters: '--max 3',
  })
  assert.equal(submitted.status, 202, submitted.text)
  const id = String(submitted.body.run_id)
  const done = await until('the run ends with a report', async () => {
    const { run } = (await lab.get<{ run: Run }>(`/server/runs/${id}`)).body
    return run.status === 'passed' && run.report_url !== null && run
  })
  assert.equal(done.report_url, `/server/runs/${id}/report`)
  await lab.restart()
  const report = await lab.get(`/server/runs/${id}/report`)
  assert.equal(report.status, 200)
  assert.match(report.text, /passed/i)
  const status = await lab.get<{ task: { status: string } }>(`/server/script/status/${id}`)
  assert.equal(status.body.task.status, 'completed')
  const hosts = await lab.get<{ hosts: { host_name: string }[] }>('/server/system/getAllHosts')
  assert.equal(hosts.body.hosts[0]?.host_name, 'lab-1')
})
