// The gate: every rule of this repository that a program can check, the same everywhere.
//
//   npm run check [-- NAME...]     all of it, or only the named steps
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { errorCodes, runErrorCodes } from '@virtualpytest/shared'
import { checkConfiguration } from './check-configuration.ts'
import { checkImports } from './check-imports.ts'
import { checkLinks } from './check-links.ts'
import { checkWords } from './check-words.ts'
import { formatProblem, type Problem, repositoryRoot as root } from './files.ts'

interface Outcome {
  passed: boolean
  /** What a person must see when it failed. */
  details: string
}
type Step = () => Outcome | Promise<Outcome>

const stepTimeoutMs = 5 * 60_000

/** Runs a program and takes its exit status for the verdict. */
function program(command: string, ...args: string[]): Step {
  return () =>
    new Promise((resolve) => {
      const env = { ...process.env, ...(process.stdout.isTTY ? { FORCE_COLOR: '1' } : { NO_COLOR: '1' }) }
      const child = spawn(command, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'], timeout: stepTimeoutMs })
      let output = ''
      const collect = (chunk: Buffer) => {
        output += chunk.toString()
      }
      child.stdout.on('data', collect)
      child.stderr.on('data', collect)
      child.once('error', (error) => resolve({ passed: false, details: error.message }))
      child.once('close', (status, signal) => {
        const end = signal ? `\nended by ${signal} after at most ${stepTimeoutMs / 60_000} minutes` : ''
        resolve({ passed: status === 0, details: output.trim() + end })
      })
    })
}

const rules =
  (check: () => Problem[]): Step =>
  () => {
    const problems = check()
    return { passed: problems.length === 0, details: problems.map(formatProblem).join('\n') }
  }

const bin = (name: string) => join(root, 'node_modules', '.bin', name)

const steps: Record<string, Step> = {
  types: program(bin('tsc'), '--noEmit', '--pretty', String(process.stdout.isTTY === true), '-p', 'tsconfig.json'),
  format: program(bin('biome'), 'check', '--error-on-warnings', '--max-diagnostics=200'),
  lint: program(bin('oxlint'), '--type-aware', '--deny-warnings'),
  imports: rules(() => checkImports(root)),
  words: rules(() => checkWords(root, new Set([...Object.keys(errorCodes), ...runErrorCodes]))),
  configuration: rules(() => checkConfiguration(root)),
  links: rules(() => checkLinks(root)),
  generated: program(process.execPath, '-C', 'source', 'tools/generate.ts', '--check'),
}

async function main() {
  const wanted = process.argv.slice(2)
  const unknown = wanted.filter((name) => !(name in steps))
  if (unknown.length > 0) {
    console.error(`There is no step ${unknown.join(', ')}. Steps: ${Object.keys(steps).join(', ')}`)
    process.exitCode = 2
    return
  }
  const failed: string[] = []
  for (const [name, step] of Object.entries(steps)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue
    const from = performance.now()
    const { passed, details } = await step()
    const seconds = ((performance.now() - from) / 1000).toFixed(1)
    console.log(`${passed ? 'ok    ' : 'FAILED'}  ${name.padEnd(13)} ${seconds.padStart(5)} s`)
    if (passed) continue
    failed.push(name)
    console.log(`${details.replace(/^/gm, '    ')}\n`)
  }
  if (failed.length === 0) return
  console.log(
    `The check failed: ${failed.join(', ')}.${failed.includes('format') ? ' `npm run format` mends most of the format.' : ''}`,
  )
  process.exitCode = 1
}

await main()
