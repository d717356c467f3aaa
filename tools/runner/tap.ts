// Reads what node:test reports in TAP: the numbers at its end, and which tests were skipped or failed, and why.

export interface Totals {
  passed: number
  failed: number
  skipped: number
}

export interface Failure {
  name: string
  /** The error and where it was thrown; empty when the name says it all. */
  details: string[]
}

export interface FileReport extends Totals {
  skips: { name: string; reason: string }[]
  /** Without the parents of failed tests, which add nothing. */
  failures: Failure[]
  /** False when the program ended before node:test could add up. */
  isComplete: boolean
}

export const formatTotals = ({ passed, failed, skipped }: Totals) => `${passed} passed, ${failed} failed, ${skipped} skipped`

export const addTotals = (all: Totals[]): Totals => ({
  passed: all.reduce((sum, { passed }) => sum + passed, 0),
  failed: all.reduce((sum, { failed }) => sum + failed, 0),
  skipped: all.reduce((sum, { skipped }) => sum + skipped, 0),
})

const testLine = /^( *)(not )?ok \d+(?: - (.*?))?(?: # (SKIP|TODO)(?: (.*))?)?$/
const plain = (text: string) => text.replace(/\\([#\\])/g, '$1')

/** The last line of the form `# pass 3`: a test may print such a line as well, but not after the end. */
function readCount(tap: string, name: string): number | undefined {
  const found = [...tap.matchAll(new RegExp(`^# ${name} (\\d+)$`, 'gm'))].at(-1)
  return found && Number(found[1])
}

/** The lines between `---` and `...` below a failed test, without their indent. */
function readBlock(lines: string[], at: number, indent: number): string[] {
  const inner = ' '.repeat(indent + 2)
  if (lines[at] !== `${inner}---`) return []
  const end = lines.indexOf(`${inner}...`, at)
  return lines.slice(at + 1, end === -1 ? undefined : end).map((line) => line.slice(inner.length))
}

/** A value of the block: one line in quotes, or the indented lines below `key: |-`. */
function readValue(block: string[], key: string): string[] {
  const at = block.findIndex((line) => line.startsWith(`${key}: `))
  const first = block[at]?.slice(key.length + 2)
  if (first === undefined) return []
  if (first !== '|-') return [first.replace(/^'(.*)'$/, '$1').replaceAll("''", "'")]
  const rest = block.slice(at + 1)
  const end = rest.findIndex((line) => !line.startsWith('  '))
  return rest.slice(0, end === -1 ? undefined : end).map((line) => line.slice(2))
}

function readDetails(block: string[]): string[] {
  const error = readValue(block, 'error').filter((line) => line.trim() !== '')
  const frames = readValue(block, 'stack').filter((line) => line.includes('file://'))
  // Where the test stands, not the helper that threw.
  const place = frames.find((line) => line.includes('.test.')) ?? frames[0] ?? readValue(block, 'location')[0]
  return place === undefined ? error : [...error, `at ${place}`]
}

export function readTap(tap: string): FileReport {
  const skips: FileReport['skips'] = []
  const failures: Failure[] = []
  let passed = 0
  let failed = 0
  const lines = tap.split('\n')
  for (const [index, line] of lines.entries()) {
    const match = testLine.exec(line)
    if (!match) continue
    const [, indent = '', not, title = '', directive, reason] = match
    const name = plain(title)
    if (directive) skips.push({ name, reason: plain(reason ?? directive.toLowerCase()) })
    else if (not) {
      failed += 1
      const block = readBlock(lines, index + 1, indent.length)
      if (readValue(block, 'failureType')[0] !== 'subtestsFailed') failures.push({ name, details: readDetails(block) })
    } else passed += 1
  }
  const count = (name: string) => readCount(tap, name) ?? 0
  if (readCount(tap, 'pass') === undefined) {
    return { passed, failed, skipped: skips.length, skips, failures, isComplete: false }
  }
  const totals = { passed: count('pass'), failed: count('fail') + count('cancelled'), skipped: count('skipped') + count('todo') }
  return { ...totals, skips, failures, isComplete: true }
}
