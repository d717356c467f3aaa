import { LabError, type RunStep, type StepOutcome } from '@virtualpytest/shared'
import type { AttemptOutbox } from '../../outbox/attempt-outbox.ts'
import { cleanDetails, cleanText } from './clean.ts'

const mostSteps = 10_000
const mostMeasures = 1000
const mostEvidence = 100

export interface Measure {
  name: string
  value: number
  unit: string
}
export interface StepEnd {
  outcome: StepOutcome
  message?: string | null | undefined
  details?: Record<string, unknown> | null | undefined
  screenshotArtifactId?: string | null | undefined
}

export interface StepBook {
  start(name: string, kind: RunStep['kind']): number
  /** The open step, or an error that says why there is none. */
  requireOpen(position: number): RunStep
  finish(position: number, end: StepEnd): void
  measure(measure: Measure): void
  /** Pictures of a check, with the innermost open step; without one they are only among the pictures of the run. */
  evidence(check: { command: string; success: boolean } & Record<string, unknown>): void
  /** Steps a script left open when it ended. */
  closeOpen(message: string): void
}

/**
 * The steps of one run. Positions count up in the order of the starts; steps may nest, and a measure belongs to the
 * innermost open one, else to the last.
 */
export function createStepBook(outbox: AttemptOutbox, now: () => number): StepBook {
  const steps = outbox.steps
  const isOpen = (step: RunStep): boolean => (step.outcome ?? null) === null

  const finish = (step: RunStep, end: StepEnd): void => {
    outbox.putStep({
      ...step,
      outcome: end.outcome,
      duration_ms: Math.max(0, now() - Date.parse(step.started_at)),
      message: end.message == null ? null : cleanText(end.message, 10_000),
      details: end.details || step.details ? cleanDetails({ ...step.details, ...end.details }) : null,
      screenshot_artifact_id: end.screenshotArtifactId ?? null,
    })
  }
  const book: StepBook = {
    start(name, kind) {
      const position = steps.size + 1
      if (position > mostSteps) throw new LabError('validation_error', { text: `A run has at most ${mostSteps} steps.` })
      const started_at = new Date(now()).toISOString()
      outbox.putStep({ position, kind, name: cleanText(name, 500), started_at, outcome: null })
      return position
    },
    requireOpen(position) {
      const step = steps.get(position)
      if (!step) throw new LabError('not_found', { text: `This run has no step ${position}.` })
      if (!isOpen(step)) throw new LabError('conflict', { text: `Step ${position} has already ended.` })
      return step
    },
    finish: (position, end) => finish(book.requireOpen(position), end),
    measure(measure) {
      const all = [...steps.values()]
      const step = all.findLast(isOpen) ?? all.at(-1)
      const kept = { name: cleanText(measure.name, 200), value: measure.value, unit: cleanText(measure.unit, 50) }
      if (!step) {
        book.finish(book.start(kept.name, 'block'), { outcome: 'passed', details: { measures: [kept] } })
        return
      }
      const before = Array.isArray(step.details?.measures) ? (step.details.measures as unknown[]) : []
      if (before.length >= mostMeasures)
        throw new LabError('validation_error', { text: `A step has at most ${mostMeasures} measures.` })
      outbox.putStep({ ...step, details: cleanDetails({ ...step.details, measures: [...before, kept] }) })
    },
    evidence(check) {
      const step = [...steps.values()].findLast(isOpen)
      if (!step) return
      const before = Array.isArray(step.details?.evidence) ? (step.details.evidence as unknown[]) : []
      if (before.length >= mostEvidence) return
      outbox.putStep({ ...step, details: cleanDetails({ ...step.details, evidence: [...before, check] }) })
    },
    closeOpen(message) {
      for (const step of [...steps.values()].filter(isOpen)) finish(step, { outcome: 'error', message })
    },
  }
  return book
}
