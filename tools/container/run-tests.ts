// Runs the tests of the container, one file after the other: they measure times, and each starts whole containers.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { repositoryRoot as root } from '../files.ts'
import { showFailures } from '../runner/closing.ts'
import { runTestFile, type TestFileResult } from '../runner/run-test-file.ts'
import { addTotals, formatTotals, type Totals } from '../runner/tap.ts'

const folder = 'backend_server/test/container'
const fileMinutes = 10
/** With the deadline of the gate: a file that begins just before it may still take this long. */
const gateFileMinutes = 6

export const containerTestFiles = (names: string[] = []): string[] =>
  readdirSync(join(root, folder))
    .filter((file) => file.endsWith('.long.test.ts'))
    .filter((file) => names.length === 0 || names.some((name) => file.includes(name)))
    .sort()
    .map((file) => `${folder}/${file}`)

/** In the order of their weight: where time runs out, the last ones are left out. */
const gateFiles = [
  'both-topologies',
  'supervision',
  'process-one',
  'users-and-volumes',
  'environment',
  'failing-programs',
  'log-relay',
  'five-writers',
].map((name) => `${folder}/${name}.long.test.ts`)

/** What runs before every change; the rest (memory, long waits behind nginx) is for whoever changes the container. */
export const gateTestFiles = (): string[] => [...gateFiles]

export interface Run {
  files: string[]
  /** Files that have not begun by then are skipped. */
  deadline?: number
  /** Root folder of a built image; without one the containers run on the programs of this machine. */
  image?: string
  verbose: boolean
}

/** Prints a line for each file, the output of what failed, and what was skipped. */
export async function runContainerTests({ files, image, verbose, deadline }: Run): Promise<Totals> {
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => stop.abort())
  const scratch = mkdtempSync(join(tmpdir(), 'vpt-container-test-'))
  const results: TestFileResult[] = []
  try {
    for (const file of files) {
      if (stop.signal.aborted) break
      if (deadline !== undefined && Date.now() > deadline) {
        results.push(leftOut(file))
        continue
      }
      const env = { ...process.env, ...(image !== undefined && { VPT_TEST_IMAGE: image }) }
      const timeoutMs = (deadline === undefined ? fileMinutes : gateFileMinutes) * 60_000
      const result = await runTestFile({ root, file, scratch, timeoutMs, nodeArgs: [], env, isLive: false, signal: stop.signal })
      results.push(result)
      show(result, verbose)
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
  for (const { file, skips } of results)
    for (const { name, reason } of skips) console.log(`skipped  ${file}: ${name} (${reason})`)
  showFailures(results)
  const totals = addTotals(results)
  return stop.signal.aborted ? { ...totals, failed: totals.failed + 1 } : totals
}

function leftOut(file: string): TestFileResult {
  const skips = [{ name: 'the whole file', reason: 'no time left; npm run image:test runs it' }]
  return { file, passed: 0, failed: 0, skipped: 1, skips, failures: [], isComplete: true, output: '', logTail: [], durationMs: 0 }
}

function show(result: TestFileResult, verbose: boolean): void {
  const isBad = result.failed > 0
  console.log(
    `${isBad ? 'FAILED' : 'ok    '}  ${result.file}  ${formatTotals(result)}  ${(result.durationMs / 1000).toFixed(0)} s`,
  )
  for (const line of result.output.split('\n')) {
    const figure = /^\W*figure (.+)$/.exec(line)?.[1]
    if (figure !== undefined) console.log(`        ${figure}`)
  }
  if (isBad || verbose) console.log(result.output.trimEnd().replace(/^/gm, '    '))
}

/** Ends the program: the totals are the last line, and only a run in which something passed and nothing failed is a success. */
export function finish(totals: Totals): void {
  console.log(formatTotals(totals))
  process.exitCode = totals.failed > 0 ? 1 : 0
}
