// Runs one test file in a process of its own, with a time limit, and leaves nothing of it running.
import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { killLeftovers, markName } from './leftovers.ts'
import { type FileReport, readTap } from './tap.ts'

/** Long enough for a child that was asked to stop; whatever needs more has been forgotten. */
const leftoverGraceMs = 3000
const outputGraceMs = 5000

export interface TestFileOptions {
  root: string
  file: string
  /** Folder for the report of node:test. */
  scratch: string
  timeoutMs: number
  /** Options of node:test, such as --test-name-pattern. */
  nodeArgs: string[]
  env: NodeJS.ProcessEnv
  /** Let the output through instead of collecting it. */
  isLive: boolean
  signal: AbortSignal
}

export interface TestFileResult extends FileReport {
  file: string
  output: string
  /** Last lines that the servers in it have logged, when something failed. */
  logTail: string[]
  durationMs: number
}

/** Names the file to which test servers write their log. */
export const logFileName = 'VPT_TEST_LOG_FILE'
const tailBytes = 20_000

export async function runTestFile(options: TestFileOptions): Promise<TestFileResult> {
  const { root, file, scratch, timeoutMs, nodeArgs, env, isLive, signal } = options
  const mark = randomUUID()
  const report = join(scratch, `${mark}.tap`)
  const logFile = join(scratch, `${mark}.log`)
  const reporters = [
    '--test-reporter=spec',
    '--test-reporter-destination=stdout',
    '--test-reporter=tap',
    `--test-reporter-destination=${report}`,
  ]
  // A test that hangs should fail by its own name before the whole file is given up.
  const testTimeout = `--test-timeout=${Math.round(timeoutMs * 0.75)}`
  const from = performance.now()
  const child = spawn(process.execPath, ['-C', 'source', ...reporters, testTimeout, ...nodeArgs, file], {
    cwd: root,
    // Below another node:test the reports would go to that one, in a form of its own.
    env: { ...env, [markName]: mark, [logFileName]: logFile, NODE_TEST_CONTEXT: undefined },
    stdio: isLive ? ['ignore', 'inherit', 'inherit'] : ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  const output = collectOutput(child)
  const end = await waitForEnd(child, timeoutMs, signal)
  const leftovers = await killLeftovers(mark, end.isLate ? 0 : leftoverGraceMs)
  killGroup(child)
  await output.closed
  const found = readTap(existsSync(report) ? readFileSync(report, 'utf8') : '')
  const complaints: string[] = []
  const logTail = existsSync(logFile) ? readFileSync(logFile).subarray(-tailBytes).toString().trimEnd().split('\n') : []
  rmSync(logFile, { force: true })
  if (end.isLate)
    complaints.push(`did not end within ${Math.round(timeoutMs / 1000)} s: a test hangs, or something is still open`)
  else if (!found.isComplete) complaints.push(`ended before its tests did (${end.how})`)
  else if (end.how !== 'exit status 0' && found.failed === 0)
    complaints.push(`all tests passed, but the file ended with ${end.how}`)
  for (const { pid, command } of leftovers) complaints.push(`left a process running: ${pid} ${command.slice(0, 200)}`)
  return {
    ...found,
    failed: found.failed + (complaints.length > 0 ? 1 : 0),
    failures: [...found.failures, ...complaints.map((name) => ({ name, details: [] }))],
    file,
    output: output.text(),
    logTail,
    durationMs: performance.now() - from,
  }
}

/** `closed` comes when nobody holds the output any more, or soon: a child that got away must not hold the whole run. */
function collectOutput(child: ChildProcess): { text: () => string; closed: Promise<unknown> } {
  const chunks: Buffer[] = []
  child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk))
  child.stderr?.on('data', (chunk: Buffer) => chunks.push(chunk))
  const closed = new Promise((resolve) => {
    child.once('close', resolve)
    child.once('exit', () => setTimeout(resolve, outputGraceMs).unref())
  })
  return { text: () => Buffer.concat(chunks).toString(), closed }
}

function killGroup(child: ChildProcess) {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    // The whole group has ended.
  }
}

function waitForEnd(child: ChildProcess, timeoutMs: number, signal: AbortSignal): Promise<{ how: string; isLate: boolean }> {
  return new Promise((resolve) => {
    let isLate = false
    const stop = () => killGroup(child)
    const timer = setTimeout(() => {
      isLate = true
      stop()
    }, timeoutMs)
    signal.addEventListener('abort', stop)
    const finish = (how: string) => {
      clearTimeout(timer)
      signal.removeEventListener('abort', stop)
      resolve({ how, isLate })
    }
    child.once('error', (error) => finish(error.message))
    child.once('exit', (status, by) => finish(by ? `signal ${by}` : `exit status ${status}`))
    if (signal.aborted) stop()
  })
}
