import type { RunStep } from '@virtualpytest/shared'
import type { RunEnd } from '../runs/index.ts'
import type { Labels } from './batch.store.ts'

export type BatchKind = 'action' | 'verification' | 'builder' | 'browser_task'

/** What a host says of an execution, with defaults for what it left out. */
export interface HostStatus {
  status: 'running' | 'completed' | 'error'
  result: Record<string, unknown> | null
  error: string | null
  progress: number
  message: string
  elapsed_time_ms: number
  /** Only agents say it: the work was stopped, by a cancellation or because the device was given to somebody else. */
  cancelled?: boolean
}

/** Longest text kept of one field: logs of a batch are for people, not for archives. */
const longestText = 64 * 1024

export function parseStatus(body: Record<string, unknown>): HostStatus {
  const { status, result, error, progress, message, elapsed_time_ms: elapsed } = body
  return {
    status: status === 'completed' || status === 'error' ? status : 'running',
    result: isObject(result) ? (storable(result) as Record<string, unknown>) : null,
    error: typeof error === 'string' ? (storable(error) as string) : null,
    progress: typeof progress === 'number' ? progress : status === 'running' ? 0 : 100,
    message: typeof message === 'string' ? (storable(message) as string) : '',
    elapsed_time_ms: typeof elapsed === 'number' ? elapsed : 0,
    ...(body.outcome === 'cancelled' && { cancelled: true }),
  }
}

/**
 * The end of the run, or undefined while the host works on. Hosts say `completed` of work that failed, and of verifications
 * `error`; only an `error` without a result means that the work could not be done at all.
 */
export function endOf(kind: BatchKind, said: HostStatus): RunEnd | undefined {
  if (said.status === 'running') return undefined
  const { result } = said
  const message = firstText(said.error, result?.error, result?.message, said.message)
  if (said.cancelled) return { status: 'cancelled', errorMessage: message ?? 'cancelled', result: { success: false } }
  if (!result || (kind === 'builder' && blockOutcome(result) === 'error')) {
    return {
      status: 'error',
      failureClass: 'infrastructure',
      errorCode: 'host_error',
      errorMessage: message ?? 'The host could not do the work.',
      result: { success: false },
    }
  }
  const { passed_count, failed_count, total_count } = result
  const counts = { passed_count, failed_count, total_count }
  const passed = kind === 'builder' ? blockOutcome(result) === 'passed' : result.success === true
  return passed
    ? { status: 'passed', result: { ...counts, success: true } }
    : { status: 'failed', failureClass: 'unknown', errorMessage: message ?? 'failed', result: { ...counts, success: false } }
}

/** `result_success` of a block: 0 is good, 1 failed, -1 could not run. */
function blockOutcome(result: Record<string, unknown>): 'passed' | 'failed' | 'error' {
  const [first] = list(result.results)
  const value = first?.result_success
  if (value === 0) return 'passed'
  if (value === 1) return 'failed'
  if (value === -1) return 'error'
  return result.success === true ? 'passed' : 'failed'
}

/** How far a time of a host may lie outside of the run before the clock of that host counts as wrong. */
const clockToleranceMs = 1000

/** One step of the run for each result of the host, in its order. */
export function stepsOf(
  kind: BatchKind,
  said: HostStatus,
  labels: Labels,
  { startedAt, now = Date.now() }: { startedAt: string; now?: number },
): RunStep[] {
  const seen: Record<string, number> = {}
  let at = Date.parse(startedAt)
  const isPossible = (ms: number): boolean => ms >= Date.parse(startedAt) - clockToleranceMs && ms <= now + clockToleranceMs
  return list(said.result?.results)
    .slice(0, 1000)
    .map((one, index) => {
      const category = typeof one.action_category === 'string' ? one.action_category : 'main'
      const place = seen[category] ?? 0
      seen[category] = place + 1
      const durationMs = number(one.execution_time_ms)
      const told = epochMs(one.action_timestamp)
      // A clock that goes wrong would put the steps of a run outside of it: then they follow one another from its start.
      const begun = told !== undefined && isPossible(told) ? told : at
      at += durationMs ?? 0
      return {
        position: index + 1,
        kind: kind === 'verification' ? ('verification' as const) : kind === 'builder' ? ('block' as const) : ('action' as const),
        name: (labels[category]?.[place] ?? firstText(one.verification_type, one.block_type) ?? kind).slice(0, 500),
        started_at: new Date(begun).toISOString(),
        duration_ms: durationMs,
        outcome: outcomeOf(kind, one),
        message: firstText(one.message, one.error, one.error_msg)?.slice(0, 2000) ?? null,
        details: detailsOf(one, category),
        ...pictureOf(one),
      }
    })
}

function outcomeOf(kind: BatchKind, one: Record<string, unknown>): 'passed' | 'failed' | 'error' {
  if (kind === 'builder') return blockOutcome({ results: [one], success: one.success })
  return one.success === true ? 'passed' : 'failed'
}

/** Evidence worth showing beside a step; the complete result stays with the batch. */
const evidence = [
  'threshold',
  'matching_result',
  'extractedText',
  'searchedText',
  'search_term',
  'sourceImageUrl',
  'referenceImageUrl',
  'resultOverlayUrl',
  'screenshot_path',
  'evidence',
]

const detailsOf = (one: Record<string, unknown>, category: string): Record<string, unknown> => ({
  ...(category !== 'main' && { category }),
  ...Object.fromEntries(evidence.flatMap((name) => (one[name] === undefined || one[name] === null ? [] : [[name, one[name]]]))),
})

/** The picture that says most; its address at this server ends with the id of the artifact. */
function pictureOf({ evidence }: Record<string, unknown>): { screenshot_artifact_id?: string } {
  if (!isObject(evidence)) return {}
  const address = firstText(evidence.overlay, evidence.source, evidence.screen)
  return address === undefined ? {} : { screenshot_artifact_id: address.slice(address.lastIndexOf('/') + 1) }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const list = (value: unknown): Record<string, unknown>[] => (Array.isArray(value) ? value.filter(isObject) : [])
const number = (value: unknown): number | null => (typeof value === 'number' && value >= 0 ? value : null)
const firstText = (...values: unknown[]): string | undefined =>
  values.find((value): value is string => typeof value === 'string' && value !== '')

/** Hosts send seconds; anything that is no time of this century is not believed. */
const epochMs = (value: unknown): number | undefined =>
  typeof value === 'number' && value > 1e9 && value < 1e10 ? value * 1000 : undefined

/** PostgreSQL stores no NUL characters, and a log without end must not fill the table. */
function storable(value: unknown): unknown {
  if (typeof value === 'string') return value.replaceAll('\0', '\uFFFD').slice(-longestText)
  if (Array.isArray(value)) return value.map(storable)
  if (!isObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name.replaceAll('\0', '\uFFFD'), storable(one)]))
}
