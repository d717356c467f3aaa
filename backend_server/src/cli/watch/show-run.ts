import type { Run, RunStatus, RunStep } from '@virtualpytest/shared'
import { paint, plain } from '../terminal.ts'
import { plural, showDuration, showMeasure } from '../units.ts'

/** How each state looks wherever the command shows it. */
export const statusStyle = {
  queued: 'yellow',
  assigned: 'cyan',
  running: 'cyan',
  passed: 'green',
  failed: 'red',
  error: 'magenta',
  cancelled: 'yellow',
} as const satisfies Record<RunStatus, string>

export const deviceName = (run: Run): string => {
  const address = `${run.host_name}:${run.device_id}`
  return run.device_name ? `${plain(run.device_name)} (${plain(address)})` : plain(address)
}

const marks = {
  passed: ['✓', 'green'],
  failed: ['✗', 'red'],
  error: ['✗', 'magenta'],
  skipped: ['–', 'dim'],
  open: ['…', 'cyan'],
} as const

const nameWidth = 44

/** One step as one line, with what it measured; a step that did not pass says why below. */
export function stepLines(step: RunStep, depth = 0): string[] {
  const [mark, style] = marks[step.outcome ?? 'open']
  const indent = '  '.repeat(Math.min(depth, 6))
  const duration = step.duration_ms === null || step.duration_ms === undefined ? '' : showDuration(step.duration_ms)
  const name = plain(step.name)
  const measures = measuresOf(step).map(({ name: what, value, unit }) => `${plain(what)} ${plain(showMeasure(value, unit))}`)
  const line = [
    `${indent}${paint(style, mark)} ${name.padEnd(nameWidth - indent.length)}`,
    duration.padStart(9),
    ...(measures.length > 0 ? [paint('dim', `  ${measures.slice(0, 4).join(', ')}${measures.length > 4 ? ', …' : ''}`)] : []),
  ].join(' ')
  const isBad = step.outcome === 'failed' || step.outcome === 'error'
  return [line.trimEnd(), ...(isBad && step.message ? [`${indent}  ${paint(style, plain(step.message))}`] : [])]
}

function measuresOf(step: RunStep): { name: string; value: number; unit: string }[] {
  const listed: unknown = step.details?.measures
  if (!Array.isArray(listed)) return []
  return listed.flatMap((one: unknown) => {
    const { name, value, unit } = (one ?? {}) as Record<string, unknown>
    if (typeof name !== 'string' || typeof value !== 'number') return []
    return [{ name, value, unit: typeof unit === 'string' ? unit : '' }]
  })
}

/** The verdict, as the last thing on the screen. */
export function verdictLines(run: Run, steps: readonly RunStep[], reportUrl: string | null): string[] {
  const style = statusStyle[run.status]
  const took = run.duration_ms === null ? 'it never started' : showDuration(run.duration_ms)
  const counts = countOutcomes(steps)
  const head = `${paint(['bold', style], run.status.toUpperCase())}  ${plain(run.name)} on ${deviceName(run)}, ${took}${counts && ` · ${counts}`}`
  const reason = [run.error_code, run.error_message].filter((part): part is string => Boolean(part)).map(plain)
  return [
    head,
    ...(run.status !== 'passed' && reason.length > 0 ? [`  ${paint(style, reason.join(': '))}`] : []),
    ...(reportUrl === null ? [] : [`  ${paint('dim', 'report')}  ${plain(reportUrl)}`]),
  ]
}

function countOutcomes(steps: readonly RunStep[]): string {
  if (steps.length === 0) return ''
  const counted = (['passed', 'failed', 'error', 'skipped'] as const)
    .map((outcome) => [outcome, steps.filter((step) => step.outcome === outcome).length] as const)
    .filter(([, count]) => count > 0)
  if (counted[0]?.[1] === steps.length) {
    const word = counted[0]?.[0] === 'error' ? 'with an error' : counted[0]?.[0]
    return `${plural(steps.length, 'step')}, ${steps.length > 1 ? 'all ' : ''}${word}`
  }
  return `${plural(steps.length, 'step')}: ${counted.map(([outcome, count]) => `${count} ${outcome}`).join(', ')}`
}
