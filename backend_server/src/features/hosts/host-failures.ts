import { LabError } from '@virtualpytest/shared'
import { HostConnectionError } from './host-transport.ts'

/**
 * The status with which a host's failure is answered: its own, so that callers can tell them apart, but never its 401, which
 * a browser would take for ours, and never a success.
 */
export const failureStatus = (status: number): number => (status >= 400 && status !== 401 ? status : 502)

/** Failures of a call that never reached the host: it is safe to say that nothing was started. */
export const neverReached = (error: unknown): boolean =>
  error instanceof LabError &&
  (error.code === 'host_busy' ||
    (error.cause instanceof HostConnectionError && !error.cause.begun) ||
    (error.code === 'host_unreachable' && (error.cause as { code?: unknown } | undefined)?.code === 'ECONNREFUSED'))
