import assert from 'node:assert/strict'
import test from 'node:test'
import { startLab } from '../start-lab.ts'
import { vpt } from './run-vpt.ts'

test('vpt speaks with the real server: devices, run, show, log, report', async (t) => {
  const lab = await startLab(t)
  const env = { VPT_SERVER: lab.url }
  assert.match((await vpt(t, ['devices'], env)).stdout, /^lab-1:device1 +lab-1 box 1 +stb +available$/m)
  assert.match((await vpt(t, ['scripts'], env)).stdout, /^zapping\.ts +lab-1$/m)
  const run = await vpt(t, ['run', 'zapping.ts', '-d', 'lab-1:device1', '--watch'], env)
  assert.equal(run.code, 0, run.stderr)
  const reportUrl = /report {2}(http\S+)/.exec(run.stdout)?.[1]
  assert.ok(reportUrl, run.stdout)
  assert.match(await (await fetch(reportUrl)).text(), /<p class="word">Passed/)
  assert.match((await vpt(t, ['show', 'last'], env)).stdout, /^PASSED {2}zapping\.ts/)
  assert.match((await vpt(t, ['runs', '--status', 'passed'], env)).stdout, /passed +zapping\.ts +lab-1:device1/)
  const refused = await vpt(t, ['run', 'zapping.ts', '-d', 'lab-1:device7'], env)
  assert.equal(refused.code, 4)
  assert.match(refused.stderr, /\(device_not_found, 404, request [0-9a-f-]{36}\)/)
})

test('vpt check says whether a device works, by its exit code too; a bad one gets no runs', async (t) => {
  const lab = await startLab(t, { host: { devices: 2 } })
  const env = { VPT_SERVER: lab.url }
  const good = await vpt(t, ['check', 'lab-1:device1'], env)
  assert.equal(good.code, 0, good.stderr)
  assert.match(good.stdout, /^✓ the device gives a picture .*\n– its power can be read /m)
  assert.match(good.stdout, /^ {2}lab-1:device1 is good$/m)
  const [host] = lab.hosts
  assert.ok(host)
  host.calls.override = ({ path }) =>
    path === '/host/av/takeScreenshot' ? { status: 500, body: { success: false, error: 'no signal' } } : undefined
  const bad = await vpt(t, ['check', 'lab-1:device2'], env)
  assert.equal(bad.code, 1, bad.stderr)
  assert.match(bad.stdout, /^FAILED {2}health check on .*\n {2}the device gives a picture: no signal$/m)
  assert.match(bad.stdout, /^ {2}lab-1:device2 is bad; it gets no runs$/m)
  const devices = (await vpt(t, ['devices'], env)).stdout
  assert.match(devices, /^lab-1:device1 .* available +good$/m)
  assert.match(devices, /^lab-1:device2 .* available +bad$/m)
  const refused = await vpt(t, ['run', 'zapping.ts', '-d', 'lab-1:device2'], env)
  assert.equal(refused.code, 4)
  assert.match(refused.stderr, /no signal.*\(device_bad, 409/)
})

test('vpt makes, lists and revokes tokens on the real server', async (t) => {
  const lab = await startLab(t, { env: { AUTH_MODE: 'required' }, hosts: 0 })
  const { token: admin } = await lab.addTeam('cli', 'admin')
  const env = { VPT_SERVER: lab.url, VPT_TOKEN: admin }
  const secret = (await vpt(t, ['token', 'create', 'ci', '--role', 'viewer'], env)).stdout.trim()
  assert.equal((await vpt(t, ['runs'], { ...env, VPT_TOKEN: secret })).code, 0)
  const forbidden = await vpt(t, ['token', 'list'], { ...env, VPT_TOKEN: secret })
  assert.equal(forbidden.code, 4)
  assert.match(forbidden.stderr, /\(forbidden, 403/)
  const id = /^(\S+) +ci +viewer +valid/m.exec((await vpt(t, ['token', 'list'], env)).stdout)?.[1] ?? ''
  assert.equal((await vpt(t, ['token', 'revoke', id], env)).code, 0)
  assert.match((await vpt(t, ['runs'], { ...env, VPT_TOKEN: secret })).stderr, /has expired or was revoked/)
  assert.match((await vpt(t, ['host', 'add', 'rack-9'], env)).stdout, /^SERVER_URL=.*\nHOST_NAME=rack-9\nAPI_KEY=\S+\n$/)
})
