// Runs the tests: each file in a process of its own, all on one PostgreSQL that lives as long as the run.
//
//   npm test                                     everything but *.long.test.ts
//   npm test -- FILE_OR_FOLDER... [options]      a part; a single file shows its output while it runs
//     --test-name-pattern REGEX                  only tests with such a name (may be repeated)
//     --file-timeout SECONDS                     limit for one file (600)
//     --concurrency N                            files at once (one more than there are cores, at most 4)
//     --verbose                                  the output of passing files too
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { settings as hostSettings } from '../backend_host/src/config.ts'
import { settings as serverSettings } from '../backend_server/src/config.ts'
import { listFiles, repositoryRoot as root } from './files.ts'
import { showFailures } from './runner/closing.ts'
import { runTestFile, type TestFileResult } from './runner/run-test-file.ts'
import { addTotals, formatTotals } from './runner/tap.ts'
import { startTestDatabase, type TestDatabase } from './runner/test-database.ts'
import { installMissingPrograms } from './system-packages.ts'

const folders = ['shared', 'backend_server', 'backend_host', 'test_scripts', 'tools']
const needsNoDatabase = /^(shared|tools)\//

function readArguments() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      'test-name-pattern': { type: 'string', multiple: true, default: [] },
      'file-timeout': { type: 'string', default: '600' },
      concurrency: { type: 'string', default: String(Math.min(availableParallelism() + 1, 4)) },
      verbose: { type: 'boolean', default: false },
    },
  })
  const number = (name: 'file-timeout' | 'concurrency') => {
    const value = Number(values[name])
    if (!(value >= 1)) throw new Error(`--${name} must be a number above 0`)
    return value
  }
  return {
    paths: positionals.map((path) => relative(root, resolve(path))),
    nodeArgs: values['test-name-pattern'].map((pattern) => `--test-name-pattern=${pattern}`),
    timeoutMs: number('file-timeout') * 1000,
    concurrency: Math.floor(number('concurrency')),
    verbose: values.verbose,
  }
}

/** Tests of whole programs come first: they take longest, and a run that ends with one of them wastes the other core. */
const weight = (file: string) => (file.includes('/test/') ? 0 : 1)

function findTestFiles(paths: string[]): string[] {
  const all = folders
    .filter((folder) => existsSync(join(root, folder)))
    .flatMap((folder) => listFiles(join(root, folder), (path) => path.endsWith('.test.ts')).map((path) => `${folder}/${path}`))
    .sort((a, b) => weight(a) - weight(b))
  if (paths.length === 0) return all.filter((file) => !file.endsWith('.long.test.ts'))
  const nothing = paths.filter((path) => !all.some((file) => isWithin(file, path)))
  if (nothing.length > 0) throw new Error(`No tests in ${nothing.join(', ')}`)
  return all.filter((file) => paths.some((path) => file === path || (isWithin(file, path) && !file.endsWith('.long.test.ts'))))
}

const isWithin = (file: string, path: string) => path === '' || file === path || file.startsWith(`${path}/`)

/** The environment of whoever runs the tests, without the settings of our programs: tests bring their own. */
function testEnvironment(database: TestDatabase | undefined, scratch: string): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = { ...process.env }
  const names = [...Object.values(serverSettings), ...Object.values(hostSettings)].map((setting) => setting.env)
  for (const name of [...names, 'PORT', 'VPT_SERVER', 'VPT_TOKEN']) delete env[name]
  // Hundreds of processes load the same sources: the first one compiles them, the others take what it made.
  env.NODE_COMPILE_CACHE ??= join(scratch, 'compiled')
  return database ? { ...env, TEST_DATABASE_ADMIN_URL: database.adminUrl } : env
}

function show(result: TestFileResult, withOutput: boolean) {
  const seconds = (result.durationMs / 1000).toFixed(1)
  console.log(`${result.failed > 0 ? 'FAILED' : 'ok    '}  ${result.file}  ${formatTotals(result)}  ${seconds} s`)
  if (withOutput) console.log(`${result.output.trimEnd().replace(/^/gm, '    ')}\n`)
}

function showList(title: string, lines: string[]) {
  if (lines.length > 0) console.log(`\n${title}:\n${lines.map((line) => `  ${line}`).join('\n')}`)
}

async function main() {
  const options = readArguments()
  const files = findTestFiles(options.paths)
  const isLive = files.length === 1
  installMissingPrograms((line) => console.log(line))
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop.abort())
  const from = performance.now()
  const scratch = mkdtempSync(join(tmpdir(), 'vpt-test-'))
  const isGiven = process.env.TEST_DATABASE_ADMIN_URL !== undefined
  const database = isGiven || files.every((file) => needsNoDatabase.test(file)) ? undefined : await startTestDatabase()
  const results: TestFileResult[] = []
  try {
    const env = testEnvironment(database, scratch)
    const queue = [...files]
    const work = async () => {
      for (let file = queue.shift(); file !== undefined && !stop.signal.aborted; file = queue.shift()) {
        const { timeoutMs, nodeArgs } = options
        const result = await runTestFile({ root, file, scratch, timeoutMs, nodeArgs, env, isLive, signal: stop.signal })
        results.push(result)
        show(result, !isLive && (result.failed > 0 || options.verbose))
      }
    }
    await Promise.all(Array.from({ length: options.concurrency }, work))
  } finally {
    await database?.stop()
    rmSync(scratch, { recursive: true, force: true, maxRetries: 5 })
  }
  showList(
    'Skipped',
    results.flatMap(({ file, skips }) => skips.map(({ name, reason }) => `${file}: ${name} (${reason})`)),
  )
  const totals = addTotals(results)
  const tests = totals.passed + totals.failed
  if (tests === 0) console.log('\nNo test was run.')
  if (stop.signal.aborted) console.log(`\nInterrupted: ${files.length - results.length} files were not run.`)
  showFailures(results)
  console.log(`\n${files.length} files in ${Math.round((performance.now() - from) / 1000)} s`)
  console.log(formatTotals(totals))
  process.exitCode = totals.failed > 0 || tests === 0 || stop.signal.aborted ? 1 : 0
}

await main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
})
