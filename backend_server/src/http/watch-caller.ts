import { type Access, LabError } from '@virtualpytest/shared'
import type { Caller } from './caller.ts'
import type { CallerRequest } from './resolve-caller.ts'

/** The one resolution of callers, as the HTTP routes use it. */
export type CallerCheck = (request: CallerRequest, access: Access) => Promise<Caller>

/** Errors that say something about the caller; all others are troubles of the server and pass. */
export const isRefusal = (error: unknown): error is LabError =>
  error instanceof LabError && (error.code === 'unauthorized' || error.code === 'forbidden')

/** A connection lives for days: asks again and again whether its token still counts. */
export function watchCaller(options: { check: () => Promise<unknown>; everyMs: number; onRefused: () => void }): {
  stop(): void
} {
  const timer = setInterval(() => {
    options.check().catch((error: unknown) => {
      if (isRefusal(error)) options.onRefused()
    })
  }, options.everyMs)
  return { stop: () => clearInterval(timer) }
}
