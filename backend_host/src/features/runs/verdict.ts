import type { RunErrorCode } from '@virtualpytest/shared'
import type { Exit } from '../../process/run-process.ts'

/** Why the agent itself ended a run; the first reason counts. */
export type StopReason =
  | { kind: 'cancelled'; reason: string }
  | { kind: 'deadline' }
  | { kind: 'stopping' }
  /** The lease is gone. `isDropped`: the server said so, nobody waits for a result. */
  | { kind: 'lease_lost'; reason: string; isDropped: boolean }

export interface Verdict {
  outcome: 'passed' | 'failed' | 'error' | 'cancelled'
  script_success: boolean | null
  error_code?: RunErrorCode
  error_message?: string
}

/** Reads `SCRIPT_SUCCESS:true|false` from a line of output. */
export function readMarker(line: string): boolean | undefined {
  const word = /SCRIPT_SUCCESS:(true|false)\b/i.exec(line)?.[1]
  return word === undefined ? undefined : word.toLowerCase() === 'true'
}

/**
 * What a run that was started has come to. A reason of the agent outweighs what the script says while it is being
 * ended; then the marker counts, because scripts written for original hosts exit 0 whatever they found.
 */
export function judge(stop: StopReason | undefined, exit: Exit, marker: boolean | undefined): Verdict {
  const script_success = marker ?? null
  if (stop) return { ...judgeStop(stop), script_success }
  if (marker === true) return { outcome: 'passed', script_success }
  if (marker === false) return { outcome: 'failed', script_success, error_message: 'The script reported SCRIPT_SUCCESS:false.' }
  if (exit.code === 0) return { outcome: 'passed', script_success }
  if (exit.code === null) {
    const error_message = `The script was ended by ${exit.signal ?? 'a signal'} from outside the lab.`
    return { outcome: 'error', script_success, error_code: 'host_error', error_message }
  }
  return { outcome: 'failed', script_success, error_message: `The script ended with exit code ${exit.code}.` }
}

export function judgeStop(stop: StopReason): Verdict {
  switch (stop.kind) {
    case 'cancelled':
      return { outcome: 'cancelled', script_success: null, error_message: stop.reason }
    case 'deadline':
      return errorVerdict('deadline', 'The run did not end before its deadline and was killed.')
    case 'stopping':
      return errorVerdict('host_stopping', 'The host agent was stopped while the run was open.')
    case 'lease_lost':
      return errorVerdict('lease_lost', stop.reason)
  }
}

export const errorVerdict = (error_code: RunErrorCode, error_message: string): Verdict => ({
  outcome: 'error',
  script_success: null,
  error_code,
  error_message,
})
