// T20: five programs write at once below real supervisord, with the log settings of the container, and its relay copies them to
// one output. Every line carries its number and a checksum; the judge is what arrives.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import { z } from 'zod'
import { formatIni, parseIni } from '../../src/container/ini.ts'
import { figure, sizeOf } from '../reliability/form.ts'
import { until } from '../until.ts'
import { cannotStartContainers } from './container.ts'

const lines = sizeOf('TEST_LINES', 40_000)
const programs = ['one', 'two', 'three', 'four', 'five']
const root = path.resolve(import.meta.dirname, '../..')
const tools = path.join(import.meta.dirname, 'programs')
const capBytes = 4 * 10 * 1024 * 1024 + 1024 * 1024

const Line = z.object({
  program: z.enum(['one', 'two', 'three', 'four', 'five']),
  at: z.int(),
  hash: z.string(),
  text: z.string(),
})

/** The settings of the installed file, with five writers in place of the programs. */
function configure(folder: string): string {
  const ini = parseIni(readFileSync(path.join(root, 'config/supervisor/supervisord-no-nginx.conf'), 'utf8'))
  const sample = ini.get('program:grafana')
  assert.ok(sample)
  for (const title of ini.keys()) if (title.startsWith('program:')) ini.delete(title)
  for (const section of ini.values()) {
    section.delete('user')
    for (const [key, value] of section) section.set(key, value.replace(/^\/(run\/virtualpytest|var\/log\/supervisor)/, folder))
  }
  ini.get('supervisorctl')?.set('serverurl', `unix://${folder}/supervisor.sock`)
  for (const [index, name] of programs.entries()) {
    const own = new Map(sample)
    own.delete('user')
    own.set('command', path.join(tools, 'line-writer'))
    own.set('directory', folder)
    own.set('environment', `GF_LINES="${lines}",GF_GO="${folder}/go",GF_MIX="small",GF_SEED="${index}"`)
    own.set('stdout_logfile', `${folder}/${name}.log`)
    ini.set(`program:${name}`, own)
  }
  const file = path.join(folder, 'supervisord.conf')
  writeFileSync(file, formatIni(ini))
  return file
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGTERM')
  await once(child, 'exit')
}

/** Follows the output line by line and keeps no more than counts: there are hundreds of megabytes. */
function judge(relay: ChildProcess & { stdout: NodeJS.ReadableStream }): { seen: Map<string, number>; bytes: () => number } {
  const seen = new Map<string, number>()
  let bytes = 0
  createInterface({ input: relay.stdout }).on('line', (text) => {
    bytes += text.length + 1
    const line = Line.parse(JSON.parse(text))
    assert.equal(line.at, seen.get(line.program) ?? 0, `${line.program}: a line is missing, doubled or out of order`)
    assert.equal(createHash('sha256').update(line.text).digest('hex').slice(0, 8), line.hash, `${line.program} ${line.at}`)
    seen.set(line.program, line.at + 1)
  })
  return { seen, bytes: () => bytes }
}

test(`T20, L2, L3, L4: 5 programs times ${lines} lines up to 64 kB: every line arrives whole, in order and once`, {
  skip: cannotStartContainers(),
  timeout: 60_000 + lines * 8,
}, async (t: TestContext) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'vpt-five-writers-'))
  const supervisor = spawn('supervisord', ['-c', configure(folder)], { cwd: folder, stdio: 'ignore' })
  t.after(async () => {
    await end(supervisor)
    rmSync(folder, { recursive: true, force: true })
  })
  const relay = spawn(path.join(tools, 'relay-log'), [path.join(root, 'docker'), folder, ...programs], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => end(relay))
  const { seen, bytes } = judge(relay)
  const isRunning = (name: string): boolean => readdirSync(folder).includes(`${name}.log`)
  await until('the writers wait', () => programs.every(isRunning))
  writeFileSync(path.join(folder, 'go'), '')
  const from = performance.now()
  await until('the last lines', () => programs.every((name) => seen.get(name) === lines), 60_000 + lines * 7)
  const seconds = (performance.now() - from) / 1000
  await end(relay)
  assert.deepEqual(Object.fromEntries(seen), Object.fromEntries(programs.map((name) => [name, lines])))
  for (const name of programs) {
    const files = readdirSync(folder).filter((file) => file.startsWith(`${name}.log`))
    const size = files.reduce((sum, file) => sum + statSync(path.join(folder, file)).size, 0)
    assert.ok(size <= capBytes, `${name}: ${size} bytes of log files`)
  }
  assert.doesNotMatch(readFileSync(path.join(folder, 'supervisord.log'), 'utf8'), /uncaptured|Illegal seek/)
  const rate = (bytes() / 1e6 / seconds).toFixed(1)
  figure(t, 'T20', `5 x ${lines} lines, ${Math.round(bytes() / 1e6)} MB at ${rate} MB/s: 0 lost, 0 mixed, 0 doubled`)
})
