// Runs the reliability tests and prints what may be quoted: promise, N, seed, machine, figures.
//
//   npm run reliability                      all of them in the form that the gate runs
//   npm run reliability -- T3 T15            some of them, by number or by a part of the file name
//   npm run reliability -- T3 --long         the long form
//   npm run reliability -- T15 --seed 7      with the choices of an earlier run
//   npm run reliability -- --list            what there is
//
// TEST_ROUNDS, TEST_PARALLEL, TEST_STEPS, TEST_SECONDS and TEST_LINES in the environment set other sizes.
import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, cpus, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { repositoryRoot as root } from './files.ts'
import { runTestFile } from './runner/run-test-file.ts'
import { addTotals, formatTotals } from './runner/tap.ts'

interface ReliabilityTest {
  id: string
  promise: string
  file: string
  /** Only the tests of this file with this in their title. */
  only?: string
  what: string
  gate: string
  /** Limit of the gate form where it needs more than the others. */
  gateMinutes?: number
  long?: { text: string; env: Record<string, string>; minutes: number }
}

const folder = 'backend_server/test/reliability'
const gateMinutes = 4

const tests: ReliabilityTest[] = [
  {
    id: 'T1',
    promise: 'N1',
    file: 'server-killed.test.ts',
    what: 'server killed at random moments, hosts with queued runs go on',
    gate: '30 kills, 10 hosts, 600 runs',
    long: { text: '500 kills, 20 hosts, 20,000 runs', env: { TEST_ROUNDS: '500', TEST_PARALLEL: '20' }, minutes: 90 },
  },
  {
    id: 'T2',
    promise: 'N2',
    file: 'host-killed.test.ts',
    what: 'hosts killed in the middle of a run, real timings',
    gate: '20 hosts at once',
    long: { text: '10 times 20 hosts', env: { TEST_ROUNDS: '10' }, minutes: 20 },
  },
  {
    id: 'T3',
    promise: 'N3',
    file: 'holder-slept.test.ts',
    what: 'holders that slept past the end of their leases write',
    gate: '5 hosts, 5 people',
    long: { text: '40 times 5 hosts', env: { TEST_ROUNDS: '40' }, minutes: 20 },
  },
  {
    id: 'T4',
    promise: 'N4, N5',
    file: 'orderly-stop.test.ts',
    what: 'server told to stop under load, the next one goes on',
    gate: '10 stops',
    long: { text: '100 stops', env: { TEST_ROUNDS: '100' }, minutes: 30 },
  },
  {
    id: 'T5',
    promise: 'N4',
    file: 'overlapping-deploy.long.test.ts',
    what: 'a new container beside the old one behind a load balancer, then the old one is stopped',
    gate: '1 deploy, 90 s of overlap under load',
    long: { text: '20 deploys, 60 s of overlap each', env: { TEST_ROUNDS: '20', TEST_SECONDS: '60' }, minutes: 40 },
  },
  {
    id: 'T7',
    promise: 'N7',
    file: 'database-away.test.ts',
    what: 'PostgreSQL stopped, killed, frozen',
    gate: '18 s stopped, 2 kills, 8 s frozen',
    long: { text: '5 min stopped, 50 kills, 8 s frozen', env: { TEST_SECONDS: '300', TEST_ROUNDS: '50' }, minutes: 20 },
  },
  {
    id: 'T12',
    promise: 'N1',
    file: 'clock-skew.test.ts',
    what: 'the clock of the server, or of an agent, 5 min ahead or behind',
    gate: '4 clocks and none',
  },
  {
    id: 'T8',
    promise: 'N6',
    file: '../container/supervision.long.test.ts',
    what: 'programs of the container killed below real supervisord, both topologies',
    gate: 'each program once, 4 random kills',
    gateMinutes: 10,
    long: { text: '50 random kills', env: { TEST_ROUNDS: '50' }, minutes: 60 },
  },
  {
    id: 'T8',
    promise: 'N6',
    file: '../container/failing-programs.long.test.ts',
    what: 'programs of the container that cannot be kept running',
    gate: 'required and optional, each way once',
    gateMinutes: 10,
  },
  {
    id: 'T9',
    promise: 'N5',
    file: '../container/process-one.long.test.ts',
    only: 'T9',
    what: 'orphans of process 1',
    gate: '1,000 orphans',
    gateMinutes: 10,
    long: { text: '10,000 orphans', env: { TEST_ROUNDS: '10000' }, minutes: 20 },
  },
  {
    id: 'T10',
    promise: 'N5',
    file: '../container/process-one.long.test.ts',
    only: 'T10',
    what: 'four signals to process 1, both topologies, and one during the start',
    gate: 'all cells',
    gateMinutes: 10,
  },
  {
    id: 'T10',
    promise: 'N5',
    file: '../container/users-and-volumes.long.test.ts',
    what: 'no root, read-only root, full tmpfs, foreign and shared volume',
    gate: 'all cells',
    gateMinutes: 10,
  },
  {
    id: 'T15',
    promise: 'N1',
    file: 'model.test.ts',
    what: 'random operations against a reference model, and four actors at once against the history of events',
    gate: '20,000 steps',
    long: { text: '1,000,000 steps', env: { TEST_STEPS: '1000000' }, minutes: 180 },
  },
  {
    id: 'T18',
    promise: 'N4',
    file: 'big-migration.long.test.ts',
    what: 'many servers start on a large old database, and the one that migrates is killed',
    gate: '10 servers, 1,000,000 rows',
    gateMinutes: 15,
    long: { text: '20 servers, 10,000,000 rows', env: { TEST_PARALLEL: '20', TEST_STEPS: '10000000' }, minutes: 60 },
  },
  {
    id: 'T19',
    promise: 'N12',
    file: '../backups/restore.test.ts',
    what: 'backup, restore into an empty database, a server on it, damage is noticed',
    gate: '3,000 runs',
    long: { text: '1,000,000 runs', env: { TEST_STEPS: '1000000' }, minutes: 60 },
  },
  {
    id: 'T20',
    promise: 'N6',
    file: '../container/five-writers.long.test.ts',
    what: 'five programs write lines of 1 byte to 64 kB through supervisord and the relay',
    gate: '5 x 40,000 lines',
    gateMinutes: 10,
    long: { text: '5 x 200,000 lines', env: { TEST_LINES: '200000' }, minutes: 60 },
  },
  {
    id: 'T20',
    promise: 'N6',
    file: '../container/log-relay.long.test.ts',
    what: 'lines of the whole container, and a reader that does not read',
    gate: '4,000 lines at 15 MB/s',
    gateMinutes: 10,
  },
  {
    id: 'T22',
    promise: 'N9',
    file: 'memory-limit.long.test.ts',
    what: 'a container of 512 MB without Grafana, 100 hosts, 20 viewers; external and embedded database',
    gate: '3 min each',
    long: { text: '60 min each', env: { TEST_SECONDS: '3600' }, minutes: 180 },
    gateMinutes: 12,
  },
  {
    id: 'race',
    promise: 'N1',
    file: 'claim-race.test.ts',
    what: '6 to 20 callers at once on one device',
    gate: '3 times 50 rounds',
    long: { text: '3 times 1,000 rounds', env: { TEST_ROUNDS: '1000' }, minutes: 20 },
  },
  {
    id: 'restart',
    promise: 'N1',
    file: 'restart.test.ts',
    what: 'hosts, flags, leases and runs survive a restart',
    gate: 'once each way',
  },
  {
    id: 'start',
    promise: 'N4, N7',
    file: 'start-order.test.ts',
    what: 'who passes the first health check is ready; no health check fails for want of a database',
    gate: 'each rule once',
  },
  { id: 'liveness', promise: 'N2, N8', file: 'liveness.test.ts', what: 'who is offline when', gate: 'each rule once' },
  {
    id: 'original',
    promise: 'N1',
    file: 'original-host.test.ts',
    what: 'runs on hosts that send no token',
    gate: 'each rule once',
  },
]

const help = `npm run reliability -- [TEST...] [--long] [--seed N] [--verbose] [--list] [--help]

Runs the reliability tests one after the other and prints their figures. TEST is a number such as T3 or a part of a file name.
--long     the long form, for nights and releases
--seed N   repeats the random choices of an earlier run
--verbose  the whole output of passing tests too
--list     names, promises and sizes
Sizes can be set with TEST_ROUNDS, TEST_PARALLEL, TEST_STEPS, TEST_SECONDS and TEST_LINES.`

const isAsked = (test: ReliabilityTest, word: string): boolean =>
  /^T\d+$/i.test(word) ? test.id.toLowerCase() === word.toLowerCase() : test.id === word || test.file.includes(word)

function readArguments() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      long: { type: 'boolean', default: false },
      seed: { type: 'string' },
      verbose: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.seed !== undefined && !/^\d+$/.test(values.seed)) throw new Error('--seed must be a whole number')
  const unknown = positionals.filter((word) => !tests.some((test) => isAsked(test, word)))
  if (unknown.length > 0) throw new Error(`No reliability test is called ${unknown.join(', ')}. See --list.`)
  const chosen = tests.filter((test) => positionals.length === 0 || positionals.some((word) => isAsked(test, word)))
  return { ...values, chosen }
}

/** Sizes that the caller set are stronger than the form, and must not be announced as the form's. */
const ownSizes = ['TEST_ROUNDS', 'TEST_PARALLEL', 'TEST_STEPS', 'TEST_SECONDS', 'TEST_LINES'].flatMap((name) =>
  process.env[name] ? `${name}=${process.env[name]}` : [],
)

function sizeOf(test: ReliabilityTest, isLong: boolean): string {
  if (ownSizes.length > 0) return ownSizes.join(' ')
  return isLong ? (test.long?.text ?? `${test.gate} (it has no long form)`) : test.gate
}

const limitMinutes = (test: ReliabilityTest, isLong: boolean): number =>
  (isLong ? test.long?.minutes : undefined) ?? test.gateMinutes ?? gateMinutes

function list(): void {
  for (const test of tests) {
    console.log(`${test.id.padEnd(9)} ${test.promise.padEnd(7)} ${test.what}`)
    console.log(`${' '.repeat(18)}gate: ${test.gate}${test.long ? `; long: ${test.long.text}` : ''}`)
  }
}

/** Lines of node:test that carry what may be quoted. */
const figuresOf = (output: string): string[] => output.split('\n').flatMap((line) => /^\W*figure (.+)$/.exec(line)?.[1] ?? [])

async function main(): Promise<void> {
  const { chosen, long: isLong, seed, verbose, list: isList, help: isHelp } = readArguments()
  if (isHelp) return console.log(help)
  if (isList) return list()
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop.abort())
  const processor = cpus()[0]?.model ?? 'unknown processor'
  const gigabytes = Math.round(totalmem() / 2 ** 30)
  console.log(
    `Machine: ${availableParallelism()} cores (${processor}), ${gigabytes} GB, Node ${process.versions.node}, ${process.platform}`,
  )
  console.log(`Form: ${isLong ? 'long' : 'gate'}, ${new Date().toISOString()}\n`)
  const scratch = mkdtempSync(join(tmpdir(), 'vpt-reliability-'))
  const results = []
  try {
    for (const test of chosen) {
      if (stop.signal.aborted) break
      console.log(`${test.id} (${test.promise}): ${test.what}; ${sizeOf(test, isLong)}`)
      const result = await runTestFile({
        root,
        file: join(folder, test.file),
        scratch,
        timeoutMs: limitMinutes(test, isLong) * 60_000,
        nodeArgs: test.only === undefined ? [] : [`--test-name-pattern=${test.only}`],
        env: { ...(isLong && test.long?.env), ...process.env, ...(seed !== undefined && { TEST_SEED: seed }) },
        isLive: false,
        signal: stop.signal,
      })
      results.push(result)
      for (const line of figuresOf(result.output)) console.log(`  ${line}`)
      if (verbose || result.failed > 0) console.log(result.output.trimEnd().replace(/^/gm, '    '))
      for (const failure of result.failures) console.log(`  FAILED: ${failure.name}`)
      for (const { reason } of result.skips) console.log(`  skipped: ${reason}`)
      console.log(
        `  ${result.failed > 0 ? 'FAILED' : result.passed > 0 ? 'ok' : 'not run'} in ${(result.durationMs / 1000).toFixed(0)} s\n`,
      )
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
  console.log(formatTotals(addTotals(results)))
  const isComplete =
    results.length === chosen.length && results.every((result) => result.failed === 0 && result.passed + result.skipped > 0)
  process.exitCode = isComplete ? 0 : 1
}

await main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
})
