import type { RunStep } from '@virtualpytest/shared'

export interface PlacedStep {
  step: RunStep
  startMs: number
  /** Null while the step has no end. */
  durationMs: number | null
  /** How many steps it lies within. */
  depth: number
}
export interface StepTimes {
  steps: PlacedStep[]
  fromMs: number
  toMs: number
  counts: { passed: number; failed: number; error: number; skipped: number; open: number }
  /** The step that explains the end of the run: the first one that ended badly, the innermost of those that lie within each other. */
  broken: PlacedStep | undefined
}

/** Steps in the order of their positions, with their place in time. A step without an end lasted until the run ended. */
export function placeSteps(steps: readonly RunStep[], runEnd: string | null = null): StepTimes {
  const sorted = steps.toSorted((one, other) => one.position - other.position)
  const counts = { passed: 0, failed: 0, error: 0, skipped: 0, open: 0 }
  const around: number[] = []
  const placed = sorted.map((step): PlacedStep => {
    const startMs = Date.parse(step.started_at)
    const durationMs = step.duration_ms ?? null
    counts[step.outcome ?? 'open'] += 1
    while (around.length > 0 && (around.at(-1) ?? 0) <= startMs) around.pop()
    const depth = Math.min(around.length, 4)
    around.push(durationMs === null ? Number.POSITIVE_INFINITY : startMs + durationMs)
    return { step, startMs, durationMs, depth: step.outcome ? depth : 0 }
  })
  const ends = placed.map((one) => endOf(one)).filter(Number.isFinite)
  const starts = placed.map((one) => one.startMs)
  return {
    steps: placed,
    fromMs: starts.reduce((one, other) => Math.min(one, other), starts[0] ?? 0),
    toMs: [...ends, ...starts, ...(counts.open > 0 && runEnd !== null ? [Date.parse(runEnd)] : [])].reduce(
      (one, other) => Math.max(one, other),
      0,
    ),
    counts,
    broken: findBroken(placed),
  }
}

const endOf = ({ startMs, durationMs }: PlacedStep): number =>
  durationMs === null ? Number.POSITIVE_INFINITY : startMs + durationMs

function findBroken(placed: readonly PlacedStep[]): PlacedStep | undefined {
  const bad = placed.filter(({ step }) => step.outcome === 'failed' || step.outcome === 'error')
  if (bad.length === 0) return placed.findLast(({ step }) => !step.outcome)
  return bad.reduce((first, one) =>
    endOf(one) < endOf(first) || (endOf(one) === endOf(first) && one.depth > first.depth) ? one : first,
  )
}
