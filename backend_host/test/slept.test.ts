import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { isAlive, startAgentProcess, startLab, until } from './start-agent.ts'

// Promise N3, test T3: the agent is stopped (SIGSTOP) for longer than a beat-less lease lives while its script goes on;
// the server gives the lease away meanwhile. Judge: the answers the script got, and the ledger. Takes about 30 s.
test('T3: an agent that slept asks about its leases before a command of its script reaches the device', async (t) => {
  const lab = await startLab(t)
  await lab.script(
    'hold.mjs',
    `import { existsSync } from 'node:fs'
const press = async () => {
  const response = await fetch(process.env.VPT_AGENT_URL + '/run/command', {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: 'Bearer ' + process.env.VPT_RUN_KEY },
    body: JSON.stringify({ command: 'press_key', params: { key: 'OK' } }),
  })
  return response.status
}
console.log('before', await press(), process.pid)
while (!existsSync(process.argv[2])) await new Promise((done) => setTimeout(done, 50))
const { writeFileSync } = await import('node:fs')
writeFileSync(process.argv[2] + '.asked', '')
writeFileSync(process.argv[2] + '.answer', String(await press()))
setInterval(() => undefined, 1000)
`,
  )
  const agent = await startAgentProcess(t, lab)
  const { access, readFile, writeFile } = await import('node:fs/promises')
  const gate = `${lab.scriptsDir}/gate`
  const order = lab.order('hold.mjs', { parameters: gate })
  await lab.server.dispatch(order)
  const run = lab.server.run(order.run_id)
  await until('the first command was answered', () => run.lines.length === 1)
  assert.match(run.lines[0] ?? '', /^before 200 /)
  const pid = Number(run.lines[0]?.split(' ')[2])

  agent.child.kill('SIGSTOP')
  lab.server.lostLeases = [{ device_id: 'device1', token: order.token, run_id: order.run_id, reason: 'expired' }]
  await pause(26_500)
  await writeFile(gate, '')
  await until('the script has asked', () =>
    access(`${gate}.asked`).then(
      () => true,
      () => false,
    ),
  )
  agent.child.kill('SIGCONT')
  await until('the script has its answer, or is gone', async () => {
    const isAnswered = await access(`${gate}.answer`).then(
      () => true,
      () => false,
    )
    return isAnswered || !isAlive(pid)
  })
  const answer = await readFile(`${gate}.answer`, 'utf8').catch(() => 'killed before it read the answer')
  assert.notEqual(answer, '200')
  await until('the script was ended', () => !isAlive(pid))
  assert.equal(run.results.length, 0)
  assert.equal((await agent.kill('SIGTERM')).code, 0)
})
