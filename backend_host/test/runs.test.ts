import assert from 'node:assert/strict'
import { access, readFile, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { beats, startLabWithAgent, until } from './start-agent.ts'

const callApi = `
const call = (path, body) => fetch(process.env.VPT_AGENT_URL + path, {
  method: 'POST',
  headers: { 'content-type': 'application/json', authorization: 'Bearer ' + process.env.VPT_RUN_KEY },
  body: JSON.stringify(body ?? {}),
})
`

test('a script with steps, measure, screenshot and log comes to the server complete and in order', async (t) => {
  const lab = await startLabWithAgent(t)
  await lab.script(
    'walk.mjs',
    `${callApi}
console.log('hello from', process.env.VPT_DEVICE_ID, process.env.VPT_DEVICE_MODEL, process.env.VPT_HOST_NAME, process.argv.slice(2).join('|'))
const { position } = await (await call('/run/steps', { name: 'Open live TV', kind: 'action' })).json()
const pressed = await (await call('/run/command', { command: 'press_key', params: { key: 'OK' } })).json()
console.log('pressed', pressed.success)
await call('/run/measure', { name: 'zap', value: 812.5, unit: 'ms' })
const screen = await (await call('/run/screen')).json()
console.log('screen', screen.texts.join(','))
const picture = await call('/run/screenshot', { name: 'extra' })
console.log('picture', picture.headers.get('content-type'), (await picture.arrayBuffer()).byteLength)
await call('/run/steps/' + position + '/finish', { outcome: 'passed', message: 'all well' })
const { writeFileSync } = await import('node:fs')
writeFileSync(process.env.VPT_ARTIFACTS_DIR + '/table.csv', 'a,b\\n')
console.error('this goes to stderr')
console.log('SCRIPT_SUCCESS:true')
process.exitCode = 3
`,
  )
  const order = lab.order('walk.mjs', { parameters: '--host test-host "two words"' })
  const answer = await lab.server.dispatch(order)
  assert.equal(answer.status, 202)
  assert.deepEqual(answer.body, { success: true, message: 'Script execution started', task_id: order.task_id })
  const run = lab.server.run(order.run_id)
  await until('the result is there', () => run.results.length === 1)

  assert.equal(run.isStarted, true)
  assert.ok(run.lines.includes('hello from device1 stb test-host --host|test-host|two words'))
  assert.ok(run.lines.includes('pressed true'))
  assert.ok(run.lines.includes('screen Home,Live TV'))
  assert.ok(run.lines.some((line) => line.startsWith('picture image/png')))
  assert.ok(run.lines.includes('this goes to stderr'))
  const step = run.steps.get(1)
  assert.equal(step?.name, 'Open live TV')
  assert.equal(step?.kind, 'action')
  assert.equal(step?.outcome, 'passed')
  assert.deepEqual(step?.details, { measures: [{ name: 'zap', value: 812.5, unit: 'ms' }] })
  assert.ok((step?.duration_ms ?? -1) >= 0)
  assert.ok(run.artifacts.has(step?.screenshot_artifact_id ?? ''))
  assert.deepEqual([...run.artifacts.values()].map(({ kind, name }) => `${kind} ${name}`).sort(), [
    'file table.csv',
    'screenshot extra.png',
    'screenshot step-1.png',
  ])
  const result = run.results[0]?.result
  assert.equal(result?.outcome, 'passed', 'the marker outweighs the exit code')
  assert.equal(result?.exit_code, 3)
  assert.equal(result?.script_success, true)
  assert.equal(result?.total_lines, run.lines.length)
  assert.match(result?.stdout ?? '', /hello from device1/)
  assert.equal(run.writesAfterResult, 0, 'everything comes before the result')
  assert.deepEqual(lab.drivers.device1?.commands, [{ command: 'press_key', params: { key: 'OK' } }])
  assert.deepEqual(lab.server.invalid, [])
})

test('every kind of script runs, and its end becomes the verdict of the protocol', async (t) => {
  const lab = await startLabWithAgent(t)
  await lab.script('pass.sh', 'echo shell; exit 0\n')
  await lab.script('gw/fail.py', 'import sys\nprint("python", sys.argv[1])\nsys.exit(4)\n')
  await lab.script('typed.ts', 'const word: string = "typed"\nconsole.log(word)\n')
  await lab.script('marked', '#!/bin/sh\necho SCRIPT_SUCCESS:false\necho SCRIPT_SUCCESS:true\n', 0o755)
  await lab.script('broken', '#!/no/such/interpreter\n', 0o755)
  await lab.script('killed.sh', 'kill -SEGV $$\n')
  const cases = [
    { name: 'pass.sh', outcome: 'passed', exit: 0, line: 'shell' },
    { name: 'gw/fail', parameters: 'x', outcome: 'failed', exit: 4, line: 'python x' },
    { name: 'typed.ts', outcome: 'passed', exit: 0, line: 'typed' },
    { name: 'marked', outcome: 'failed', exit: 0, line: 'SCRIPT_SUCCESS:false' },
    { name: 'broken', outcome: 'error', exit: null, code: 'script_start_failed' },
    { name: 'killed.sh', outcome: 'error', exit: null, code: 'host_error' },
    { name: 'pass.sh', parameters: '"open', outcome: 'error', exit: null, code: 'script_start_failed' },
  ]
  for (const one of cases) {
    const order = lab.order(one.name, { parameters: one.parameters ?? '' })
    assert.equal((await lab.server.dispatch(order)).status, 202, one.name)
    const run = lab.server.run(order.run_id)
    await until(`the result of ${one.name} is there`, () => run.results.length === 1)
    const result = run.results[0]?.result
    assert.equal(result?.outcome, one.outcome, one.name)
    assert.equal(result?.exit_code, one.exit, one.name)
    assert.equal(result?.error_code ?? undefined, one.code, one.name)
    if (one.line) assert.ok(run.lines.includes(one.line), one.name)
  }
  assert.deepEqual(lab.server.invalid, [])
})

test('S: two devices work side by side while one device runs one script at a time', async (t) => {
  const lab = await startLabWithAgent(t)
  // Each script says when it runs and ends when its file appears, so that the order is decided by the test.
  await lab.script(
    'hold.mjs',
    `import { existsSync } from 'node:fs'\nwhile (!existsSync(process.argv[2])) await new Promise((done) => setTimeout(done, 20))\n`,
  )
  const gate = (name: string): string => path.join(lab.scriptsDir, `${name}.gate`)
  const first = lab.order('hold.mjs', { parameters: gate('first') })
  const second = lab.order('hold.mjs', { parameters: gate('second') })
  const other = lab.order('hold.mjs', { parameters: gate('other'), device_id: 'device2' })
  for (const order of [first, second, other]) assert.equal((await lab.server.dispatch(order)).status, 202)
  await until('both devices work', () => lab.server.run(first.run_id).isStarted && lab.server.run(other.run_id).isStarted)
  assert.equal(lab.server.run(second.run_id).isStarted, false)

  await writeFile(gate('other'), '')
  await until('the other device is done', () => lab.server.run(other.run_id).results.length === 1)
  assert.equal(lab.server.run(second.run_id).isStarted, false, 'a free device does not help a busy one')
  await writeFile(gate('first'), '')
  await until('the second run starts', () => lab.server.run(second.run_id).isStarted)
  await writeFile(gate('second'), '')
  await until('the second run ends', () => lab.server.run(second.run_id).results.length === 1)
})

test('T24: an order that comes again is confirmed again and started once', async (t) => {
  const lab = await startLabWithAgent(t)
  const marks = path.join(lab.scriptsDir, 'marks.txt')
  await lab.script('mark.sh', `echo x >> ${marks}\n`)
  const order = lab.order('mark.sh')
  const answers = await Promise.all(Array.from({ length: 8 }, () => lab.server.dispatch(order)))
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([202]))
  const run = lab.server.run(order.run_id)
  await until('the result is there', () => run.results.length === 1)
  assert.equal((await lab.server.dispatch(order)).status, 202, 'also after the end')
  lab.server.ordersInBeat = [order]
  await until('the order went out with a beat', () => lab.server.ordersInBeat.length === 0)
  await until('another beat came', beats(lab, 1))
  assert.equal(await readFile(marks, 'utf8'), 'x\n')
  assert.equal(run.results.length, 1)
})

test('hostile parameters reach the script as plain arguments', async (t) => {
  const lab = await startLabWithAgent(t)
  const marker = path.join(lab.scriptsDir, 'owned')
  await lab.script('args.mjs', 'console.log(JSON.stringify(process.argv.slice(2)))\n')
  const parameters = `; touch ${marker} && $(touch ${marker}) \`touch ${marker}\` | touch ${marker} > ${marker} '*' "$HOME" a\\ b --x='é\n"' --eval=process.exit(9)`
  const order = lab.order('args.mjs', { parameters })
  await lab.server.dispatch(order)
  const run = lab.server.run(order.run_id)
  await until('the result is there', () => run.results.length === 1)
  const args = JSON.parse(run.lines[0] ?? '[]') as string[]
  assert.deepEqual(args.slice(0, 3), [';', 'touch', marker])
  assert.deepEqual(args.slice(-5), ['*', '$HOME', 'a b', '--x=é\n"', '--eval=process.exit(9)'])
  assert.equal(run.results[0]?.result?.outcome, 'passed')
  await assert.rejects(access(marker), 'no shell has run')
})

test('a script name never leads out of the script folder', async (t) => {
  const lab = await startLabWithAgent(t)
  const outside = path.join(lab.scriptsDir, '..', 'outside.sh')
  await writeFile(outside, 'echo outside\n')
  await lab.script('inner/deep/three.sh', 'exit 0\n')
  await symlink(outside, path.join(lab.scriptsDir, 'link.sh'))
  await symlink(path.dirname(outside), path.join(lab.scriptsDir, 'linked'))
  const names = [
    '../outside.sh',
    '..\\outside.sh',
    './../outside.sh',
    outside,
    'link.sh',
    'linked/outside.sh',
    'inner/deep/three.sh',
    'inner/../../outside.sh',
    '%2e%2e/outside.sh',
    '.hidden.sh',
    'nothing\0.sh',
    '',
    'no-such-script',
  ]
  for (const name of names) {
    const { status, body } = await lab.server.dispatch(lab.order(name))
    assert.ok(status === 404 || status === 400, `${JSON.stringify(name)}: ${status}`)
    assert.equal(body.success, false)
    assert.ok(!JSON.stringify(body).includes(lab.scriptsDir), 'the folder is not told')
  }
  assert.equal(lab.server.pings.at(-1)?.leases?.length, 0)
  assert.deepEqual(
    (lab.server.registrations[0]?.scripts ?? []).map((script) => script.name),
    [],
  )
})

test('N11: a long log arrives complete and in order, long lines and binary bytes are made storable', async (t) => {
  const lab = await startLabWithAgent(t)
  await lab.script(
    'loud.mjs',
    `import { writeSync } from 'node:fs'
const write = (data) => { for (let at = 0; at < data.length; ) { try { at += writeSync(1, data, at) } catch (error) { if (error.code !== 'EAGAIN') throw error } } }
let block = ''
for (let line = 0; line < 100000; line++) { block += 'line ' + line + '\\n'; if (block.length > 60000) { write(Buffer.from(block)); block = '' } }
write(Buffer.from(block))
write(Buffer.concat([Buffer.alloc(1024 * 1024, 'x'), Buffer.from('\\n')]))
write(Buffer.from([0x61, 0x00, 0xff, 0xfe, 0x62, 0x0a]))
write(Buffer.from('größe\\r\\nlast line without end'))
`,
  )
  const order = lab.order('loud.mjs')
  await lab.server.dispatch(order)
  const run = lab.server.run(order.run_id)
  await until('the result is there', () => run.results.length === 1)
  assert.equal(run.lines.length, 100_004)
  for (let line = 0; line < 100_000; line++)
    if (run.lines[line] !== `line ${line}`) assert.fail(`line ${line} is ${run.lines[line]}`)
  const long = run.lines[100_000] ?? ''
  assert.ok(Buffer.byteLength(long) <= 8192 && long.endsWith('[line cut: 1048576 bytes]'), long.slice(-60))
  assert.equal(run.lines[100_001], 'a\uFFFD\uFFFD\uFFFDb')
  assert.deepEqual(run.lines.slice(100_002), ['größe', 'last line without end'])
  assert.equal(run.results[0]?.result?.total_lines, 100_004)
  assert.ok(Buffer.byteLength(run.results[0]?.result?.stdout ?? '') <= 64 * 1024)
  assert.deepEqual(lab.server.invalid, [])
})
