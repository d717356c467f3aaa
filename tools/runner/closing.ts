// What stands at the end of a run in which something failed: often nobody sees more of it than its last screen.
import { appendFileSync } from 'node:fs'
import type { TestFileResult } from './run-test-file.ts'

/** Enough for the difference of two objects; the whole of it stands where the file ended. */
const mostDetails = 24
const mostLogLines = 25
const longestLine = 300

/** Each failed test with its error, and below the tests of a file the last lines that the servers in it have logged. */
export function describeFailures(results: readonly TestFileResult[]): string[] {
  return results
    .filter(({ failures }) => failures.length > 0)
    .flatMap(({ file, failures, logTail }) => [
      ...failures.flatMap(({ name, details }) => [`  ${file}: ${name}`, ...indent(shorten(details))]),
      ...(logTail.length > 0 ? ['      last lines of the log:', ...indent(logTail.slice(-mostLogLines))] : []),
    ])
}

/** `VPT_TEST_FAILURES` names a file that gets them too, for whoever runs more than one program. */
export function showFailures(results: readonly TestFileResult[]): void {
  const lines = describeFailures(results)
  if (lines.length === 0) return
  console.log(`\nFailed:\n${lines.join('\n')}`)
  const file = process.env.VPT_TEST_FAILURES
  if (file) appendFileSync(file, `${lines.join('\n')}\n`)
}

const indent = (lines: string[]) => lines.map((line) => `      ${line.slice(0, longestLine)}`)

function shorten(lines: string[]): string[] {
  if (lines.length <= mostDetails) return lines
  return [...lines.slice(0, mostDetails - 1), '...', ...lines.slice(-1)]
}
