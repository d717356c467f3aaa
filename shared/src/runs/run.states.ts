/**
 * Legal moves of a run. The last four are terminal: a retry is a new run with `retry_of`.
 * queued -> assigned when the lease is granted; assigned -> queued when the lease is lost before the start;
 * error carries a code: queue_timeout, host_lost, host_restarted, lease_lost, deadline, dispatch_failed, ...
 */
export const runMoves = {
  queued: ['assigned', 'cancelled', 'error'],
  assigned: ['running', 'queued', 'passed', 'failed', 'cancelled', 'error'],
  running: ['passed', 'failed', 'error', 'cancelled'],
  passed: [],
  failed: [],
  error: [],
  cancelled: [],
} as const
export type RunStatus = keyof typeof runMoves

export const openRunStatuses = ['queued', 'assigned', 'running'] as const satisfies readonly RunStatus[]
export const finalRunStatuses = ['passed', 'failed', 'error', 'cancelled'] as const satisfies readonly RunStatus[]
export const isFinalRun = (status: RunStatus): boolean => runMoves[status].length === 0

/** The words of the protocol's task status for each run state. */
export const taskStatus = (status: RunStatus): 'started' | 'completed' | 'failed' =>
  status === 'passed' || status === 'failed' ? 'completed' : status === 'error' || status === 'cancelled' ? 'failed' : 'started'

/** Why a run ended without a verdict of the test. The message for a person stands beside it in the run. */
export const runErrorCodes = [
  'queue_timeout',
  'host_lost',
  'host_restarted',
  'host_stopping',
  'lease_lost',
  'deadline',
  'dispatch_failed',
  'script_start_failed',
  'script_not_found',
  'host_error',
] as const
export type RunErrorCode = (typeof runErrorCodes)[number]
