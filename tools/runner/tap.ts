// Reads what node:test reports in TAP: the numbers at its end, and which tests were skipped or failed.

export interface Totals {
  passed: number
  failed: number
  skipped: number
}

export interface FileReport extends Totals {
  skips: { name: string; reason: string }[]
  failures: string[]
  /** False when the program ended before node:test could add up. */
  isComplete: boolean
}

export const formatTotals = ({ passed, failed, skipped }: Totals) => `${passed} passed, ${failed} failed, ${skipped} skipped`

export const addTotals = (all: Totals[]): Totals => ({
  passed: all.reduce((sum, { passed }) => sum + passed, 0),
  failed: all.reduce((sum, { failed }) => sum + failed, 0),
  skipped: all.reduce((sum, { skipped }) => sum + skipped, 0),
})

const testLine = /^ *(not )?ok \d+(?: - (.*?))?(?: # (SKIP|TODO)(?: (.*))?)?$/
const plain = (text: string) => text.replace(/\\([#\\])/g, '$1')

/** The last line of the form `# pass 3`: a test may print such a line as well, but not after the end. */
function readCount(tap: string, name: string): number | undefined {
  const found = [...tap.matchAll(new RegExp(`^# ${name} (\\d+)$`, 'gm'))].at(-1)
  return found && Number(found[1])
}

export function readTap(tap: string): FileReport {
  const skips: FileReport['skips'] = []
  const failures: string[] = []
  let passed = 0
  for (const line of tap.split('\n')) {
    const match = testLine.exec(line)
    if (!match) continue
    const [, not, title = '', directive, reason] = match
    const name = plain(title)
    if (directive) skips.push({ name, reason: plain(reason ?? directive.toLowerCase()) })
    else if (not) failures.push(name)
    else passed += 1
  }
  const count = (name: string) => readCount(tap, name) ?? 0
  if (readCount(tap, 'pass') === undefined) {
    return { passed, failed: failures.length, skipped: skips.length, skips, failures, isComplete: false }
  }
  const totals = { passed: count('pass'), failed: count('fail') + count('cancelled'), skipped: count('skipped') + count('todo') }
  return { ...totals, skips, failures, isComplete: true }
}
