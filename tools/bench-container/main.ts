// Measures the container: start, memory, and the proxy in front of Grafana. See the help text.
import { spawnSync } from 'node:child_process'
import { availableParallelism, loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { cannotStartContainers } from '../../backend_server/test/container/container.ts'
import { createDatabase, startTestCluster } from '../../backend_server/test/test-cluster.ts'
import { repositoryRoot } from '../files.ts'
import { type Answers, askMany, loads, startProxies } from './proxies.ts'
import { type Kind, measureStart, type Start } from './starts.ts'

const help = `npm run bench:container [-- --rounds N] [--seconds N] [--only start|proxy]

Start to the first 200 of /health and resident memory by program: this container direct and behind nginx, and a reference of
supervisord, nginx and a Flask server, empty and with packages that the original loads, with the figures that the original
documents beside them. Then the /grafana path of the server beside nginx in front of the same backend. Everything alternates within one run and medians count, because
figures of one machine are worth their ratios. External PostgreSQL, compiled code, GRAFANA=off.

--rounds N   starts of each kind and turns of each load (3)
--seconds N  duration of one turn of a load (4)
Needs root for namespaces. Installs from Debian what is missing: supervisor, nginx, python3-flask and its companions, wrk.`

const packages: [probe: string, name: string][] = [
  ['command -v supervisord', 'supervisor'],
  ['command -v nginx', 'nginx'],
  ['/usr/bin/python3 -c "import flask"', 'python3-flask'],
  ['/usr/bin/python3 -c "import flask_cors"', 'python3-flask-cors'],
  ['/usr/bin/python3 -c "import flask_socketio"', 'python3-flask-socketio'],
  ['/usr/bin/python3 -c "import requests"', 'python3-requests'],
  ['/usr/bin/python3 -c "import psycopg2"', 'python3-psycopg2'],
  ['/usr/bin/python3 -c "import httpx"', 'python3-httpx'],
  ['command -v wrk', 'wrk'],
  ['command -v curl', 'curl'],
  ['command -v ip', 'iproute2'],
]

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '4' },
    only: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})
const [rounds, seconds] = [Number(values.rounds), Number(values.seconds)]
const misses: string[] = []

const say = (line: string): void => void process.stdout.write(`${line}\n`)
const median = (numbers: number[]): number =>
  numbers.toSorted((a, b) => a - b)[Math.floor((numbers.length - 1) / 2)] ?? Number.NaN
const shortest = (numbers: number[]): number => Math.min(...numbers)

function target(name: string, isMet: boolean, text: string): string[] {
  if (!isMet) misses.push(name)
  return [name, text, isMet ? 'met' : 'MISSED', '']
}

function install(): void {
  const missing = packages.filter(([probe]) => spawnSync('sh', ['-c', probe], { stdio: 'ignore' }).status !== 0)
  if (missing.length === 0) return
  const names = missing.map(([, name]) => name)
  say(`Installing Debian packages: ${names.join(', ')} ...`)
  const apt = (...args: string[]): number | null => spawnSync('apt-get', ['-y', '-qq', ...args], { stdio: 'ignore' }).status
  if (apt('install', '--no-install-recommends', ...names) === 0) return
  apt('update')
  if (apt('install', '--no-install-recommends', ...names) !== 0) throw new Error(`apt-get install ${names.join(' ')} failed`)
}

async function compareStarts(databaseUrl: string): Promise<string[][]> {
  const kinds: Kind[] = ['direct', 'nginx', 'flask', 'loaded']
  const starts: Record<Kind, Start[]> = { direct: [], nginx: [], flask: [], loaded: [] }
  // The first start compiles, fills the caches of the machine and migrates; it does not count.
  await measureStart('direct', databaseUrl)
  for (let round = 1; round <= rounds; round += 1) {
    for (const kind of kinds) {
      const one = await measureStart(kind, databaseUrl)
      starts[kind].push(one)
      say(
        `start ${round}/${rounds}  ${kind.padEnd(7)} /health after ${Math.round(one.healthMs)} ms (${Math.round(one.cpuMs)} of processor time), ${Math.round(one.memory.onceMb)} MB`,
      )
    }
  }
  const of = (kind: Kind, pick: (start: Start) => number, choose = median): number => Math.round(choose(starts[kind].map(pick)))
  const programs = [...new Set(kinds.flatMap((kind) => starts[kind].flatMap(({ memory }) => Object.keys(memory.programs))))]
  const row = (name: string, pick: (start: Start) => number, original = '', choose = median): string[] => [
    name,
    ...kinds.map((kind) => String(of(kind, pick, choose) || '-')),
    original,
  ]
  const original: Record<string, string> = { api: '50-100', supervisord: '5-10' }
  const [direct = 0, flask = 0, loaded = 0] = (['direct', 'flask', 'loaded'] as const).map((kind) =>
    of(kind, ({ healthMs }) => healthMs),
  )
  const api = of('direct', ({ memory }) => memory.programs.api?.rssMb ?? 0)
  const all = Math.max(...(['direct', 'nginx'] as const).map((kind) => of(kind, ({ memory }) => memory.onceMb)))
  return [
    ['', 'direct', 'nginx', 'Flask', 'Flask loaded', 'original (documented)'],
    row('start to first /health 200 (ms)', ({ healthMs }) => healthMs),
    row('  shortest (ms)', ({ healthMs }) => healthMs, '', shortest),
    row('  processor time (ms)', ({ cpuMs }) => cpuMs),
    row('  least processor time (ms)', ({ cpuMs }) => cpuMs, '', shortest),
    ...programs.flatMap((name) => [
      row(`${name} RSS (MB)`, ({ memory }) => memory.programs[name]?.rssMb ?? 0, original[name] ?? ''),
      row(`${name} PSS (MB)`, ({ memory }) => memory.programs[name]?.pssMb ?? 0),
    ]),
    row('all, each page once (MB)', ({ memory }) => memory.onceMb, '155-310 direct, 200-400 nginx, with Grafana 100-200'),
    target('API at most 100 MB (RSS)', api <= 100, `${api} MB`),
    target('everything but Grafana at most 200 MB', all <= 200, `${all} MB`),
    target('direct starts faster than the empty Flask reference', direct < flask, `${direct} ms against ${flask} ms`),
    target('direct starts faster than the loaded Flask reference', direct < loaded, `${direct} ms against ${loaded} ms`),
  ]
}

async function compareProxies(databaseUrl: string): Promise<string[][]> {
  const proxies = await startProxies(databaseUrl)
  const rows = [['', 'this server', 'nginx', 'ratio']]
  try {
    for (const base of [proxies.ours, proxies.nginx]) for (const load of loads) askMany(base, load, 2)
    for (const load of loads) {
      const turns: { ours: Answers; nginx: Answers }[] = []
      for (let round = 1; round <= rounds; round += 1) {
        const turn = { ours: askMany(proxies.ours, load, seconds), nginx: askMany(proxies.nginx, load, seconds) }
        turns.push(turn)
        say(`proxy ${round}/${rounds}  ${load.name}: ${Math.round(turn.ours.rate)}/s against ${Math.round(turn.nginx.rate)}/s`)
      }
      const show = (who: 'ours' | 'nginx'): string =>
        `${Math.round(median(turns.map((turn) => turn[who].rate)))}/s, p99 ${median(turns.map((turn) => turn[who].p99Ms)).toFixed(1)} ms`
      const ratio = median(turns.map(({ ours, nginx }) => ours.rate / nginx.rate))
      const least = load.path.endsWith('large') ? 0.8 : 0.15
      rows.push([load.name, show('ours'), show('nginx'), ratio.toFixed(2)])
      rows.push(target(`  at least ${least} of nginx`, ratio >= least, ratio.toFixed(2)))
    }
  } finally {
    await proxies.stop()
  }
  return rows
}

function print(rows: string[][]): void {
  const widths = [0, 1, 2, 3, 4, 5].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  say('')
  for (const row of rows)
    say(
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
}

async function main(): Promise<void> {
  if (values.help) return say(help)
  if (!(rounds >= 1) || !(seconds >= 1)) throw new Error('--rounds and --seconds are numbers from 1')
  if (process.getuid?.() === 0) install()
  const reason = cannotStartContainers()
  if (reason) return say(`skipped: ${reason}`)
  if (values.only === 'proxy') {
    const build = spawnSync(process.execPath, [...process.execArgv, 'tools/build.ts'], { cwd: repositoryRoot, stdio: 'inherit' })
    if (build.status !== 0) throw new Error('the build failed')
  }
  const cluster = await startTestCluster()
  try {
    const databaseUrl = await createDatabase(cluster.adminUrl, 'vpt_bench')
    const tables: string[][][] = []
    if (values.only !== 'proxy') tables.push(await compareStarts(databaseUrl))
    if (values.only !== 'start') tables.push(await compareProxies(databaseUrl))
    const load = loadavg()[0]?.toFixed(1)
    say(`\nNode ${process.version}, ${availableParallelism()} cores, load ${load}, medians of ${rounds}, ${seconds} s a turn`)
    for (const table of tables) print(table)
    say(misses.length === 0 ? '\nEvery target is met.' : `\nMissed: ${misses.map((name) => name.trim()).join('; ')}`)
  } finally {
    await cluster.stop({ keep: false })
  }
}

await main()
// The test kit keeps node:test awake, which would add a summary of no tests.
process.exit()
