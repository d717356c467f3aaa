import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { startLab } from '../start-lab.ts'
import { until } from '../until.ts'
import { startVpt, vpt } from './run-vpt.ts'

const apiKey = 'shared-key-of-this-lab'

async function terminals(t: TestContext) {
  const lab = await startLab(t, { env: { AUTH_MODE: 'required', API_KEY: apiKey }, host: { apiKey } })
  const env = async (name: string) => ({ VPT_SERVER: lab.url, VPT_TOKEN: (await lab.addToken(name, 'tester')).token })
  return { lab, ann: await env('Ann'), bob: await env('Bob') }
}

test('vpt take holds a device until Ctrl-C, vpt wait gets it then, and vpt who and vpt devices show both', async (t) => {
  const { ann, bob } = await terminals(t)
  const device = 'lab-1:device1'
  const holding = startVpt(t, ['take', device, '--purpose', 'menu test'], ann)
  await until('Ann has it', () => /is yours/.test(holding.stderr()))
  const refused = await vpt(t, ['take', device], bob)
  assert.equal(refused.code, 4)
  assert.match(refused.stderr, /locked by Ann since/)
  const waiting = startVpt(t, ['wait', device], bob)
  await until('Bob is told his place', () => /You are next in line/.test(waiting.stderr()))

  const who = (await vpt(t, ['who', device], bob)).stdout
  assert.match(who, /^lab-1:device1 {2}leased$/m)
  assert.match(who, /^ {2}held by {3}Ann \(user\)$/m)
  assert.match(who, /^ {2}since {5}\d\d:\d\d:\d\d, until \d\d:\d\d:\d\d, last activity/m)
  assert.match(who, /^ {2}purpose {3}menu test$/m)
  assert.match(who, /^ {2}waits {2}1 {2}Bob \(user\)/m)
  assert.match(
    (await vpt(t, ['devices'], ann)).stdout,
    /^lab-1:device1 .*leased +\d\d:\d\d:\d\d +\d\d:\d\d:\d\d +1 +Ann \(you\)$/m,
  )

  holding.child.kill('SIGINT')
  assert.equal(await holding.ended, 0)
  assert.match(holding.stderr(), /Given back/)
  await until('Bob has it', () => /is yours/.test(waiting.stderr()))
  const foreign = await vpt(t, ['release', device], ann)
  assert.deepEqual([foreign.code, /locked by Bob/.test(foreign.stderr)], [4, true])
  assert.match((await vpt(t, ['extend', device, '30'], bob)).stdout, /is yours until/)
  assert.equal((await vpt(t, ['release', device], bob)).code, 0)
  assert.equal(await waiting.ended, 1, 'the command that held it hears that it is gone')
  assert.match(waiting.stderr(), /has ended \(released/)
})

test('vpt ask and vpt answer: a no ends the question, a yes brings the device', async (t) => {
  const { lab, ann, bob } = await terminals(t)
  const device = 'lab-1:device1'
  assert.match((await vpt(t, ['ask', device], bob)).stderr, /Nobody holds this device/)
  const holding = startVpt(t, ['take', device, '--detach'], ann)
  assert.equal(await holding.ended, 0)
  const askId = async () => {
    const json = JSON.parse((await vpt(t, ['who', device, '--json'], ann)).stdout) as { devices: { asks: { id: string }[] }[] }
    return json.devices[0]?.asks[0]?.id
  }
  const first = startVpt(t, ['ask', device, '-m', 'demo at noon'], bob)
  const one = await until('the question is there', askId)
  assert.match((await vpt(t, ['answer', one, 'no', '-m', 'ten minutes'], ann)).stdout, /Bob is told no/)
  assert.equal(await first.ended, 1)
  assert.match(first.stderr(), /The holder says no: ten minutes/)

  const tooSoon = await vpt(t, ['ask', device], bob)
  assert.equal(tooSoon.code, 4)
  assert.match(tooSoon.stderr, /Ask again in \d+ s/)
  const { token } = await lab.addToken('Root', 'admin')
  const set = await lab.call('PUT', '/server/lease-settings', { token, body: { ask_again_seconds: 0 } })
  assert.equal(set.status, 200, set.text)
  const second = startVpt(t, ['ask', device], bob)
  const two = await until('the second question is there', askId)
  assert.equal((await vpt(t, ['answer', two, 'maybe'], ann)).code, 4)
  assert.match((await vpt(t, ['answer', two, 'yes'], ann)).stdout, /Given to the line, as Bob asked/)
  await until('Bob has it', () => /is yours/.test(second.stderr()))
  second.child.kill('SIGINT')
  assert.equal(await second.ended, 0)
})
