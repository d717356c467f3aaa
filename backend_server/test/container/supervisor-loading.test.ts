import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type TestContext, test } from 'node:test'

const program = path.resolve(import.meta.dirname, '../../docker/supervisord')
const skip =
  spawnSync('/usr/bin/python3', ['-IB', '-c', 'import supervisor']).status === 0 ? false : "needs Debian's package supervisor"

/** What it starts says in a file which variables it got, and ends the supervisor. */
function runSupervisor(t: TestContext, input: string): { status: number | null; said: string } {
  const folder = mkdtempSync(path.join(tmpdir(), 'vpt-supervisor-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const socket = path.join(folder, 'socket')
  writeFileSync(
    path.join(folder, 'conf'),
    `[unix_http_server]\nfile=${socket}\n` +
      `[supervisord]\nnodaemon=true\nsilent=true\nlogfile=${folder}/log\npidfile=${folder}/pid\nchildlogdir=${folder}\n` +
      '[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n' +
      `[program:one]\ncommand=sh -c "echo $GRAFANA $KEPT >${folder}/said; kill -TERM $PPID"\n`,
  )
  const run = spawnSync(program, ['-c', path.join(folder, 'conf')], {
    input,
    env: { PATH: process.env.PATH, GRAFANA: 'embedded', KEPT: 'kept' },
    timeout: 60_000,
  })
  const said = path.join(folder, 'said')
  return { status: run.status, said: existsSync(said) ? spawnSync('cat', [said], { encoding: 'utf8' }).stdout.trim() : 'nothing' }
}

test('S46: the supervisor begins when process 1 says so, with the variables that it sends', { skip }, (t) => {
  assert.deepEqual(runSupervisor(t, '{"GRAFANA":"off"}'), { status: 0, said: 'off kept' })
})

test('S61: without a word, as when the configuration could not be written, the supervisor starts nothing', { skip }, (t) => {
  assert.deepEqual(runSupervisor(t, ''), { status: 1, said: 'nothing' })
})
