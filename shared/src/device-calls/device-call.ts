import { z } from 'zod'
import { DeviceId, HostName, TeamQuery } from '../ids.ts'
import type { Route } from '../route.ts'

/** Who is called. Both may stand in the query as well; `device1` is meant where a call names no device. */
export const DeviceTarget = z.object({
  host_name: HostName.nullish(),
  device_id: DeviceId.nullish(),
  session_id: z.string().max(200).nullish(),
  user_id: z.string().max(200).nullish(),
  token: z.int().min(1).nullish().describe('token of the lease this call relies on; 409 stale_token when it has ended'),
})
export type DeviceTarget = z.infer<typeof DeviceTarget>

export const DeviceTargetQuery = TeamQuery.extend({ host_name: HostName.optional(), device_id: DeviceId.optional() })

/**
 * What a call does to its device. `reads`: anybody of the team may, also while somebody else holds the device. `uses`: it
 * needs the device for itself. `changes`: the same, and the call is written to the audit log.
 */
export type DeviceCallEffect = 'reads' | 'uses' | 'changes'

export const deviceCallFailures = [400, 403, 404, 409, 423, 500, 502, 503, 504]

/**
 * What a host answered, unchanged: `success` is false, with `error`, when the device could not do it, and then the other
 * fields may be missing. A host may add fields.
 */
export const hostAnswer = (fields: z.ZodRawShape) =>
  z.looseObject({ success: z.boolean(), error: z.string().nullish(), ...z.object(fields).partial().shape })

/** A route whose request goes to a host and whose answer is the host's. */
export interface DeviceRoute extends Route {
  effect: DeviceCallEffect
}

export function defineDeviceCall(
  path: string,
  call: {
    effect: DeviceCallEffect
    summary: string
    fields?: z.ZodRawShape
    answer: z.ZodRawShape
    /** Default: viewer for what reads, else tester. */
    access?: 'tester' | 'admin'
  },
) {
  return {
    method: 'POST',
    path,
    access: call.access ?? (call.effect === 'reads' ? 'viewer' : 'tester'),
    effect: call.effect,
    summary: call.summary,
    query: DeviceTargetQuery,
    body: DeviceTarget.extend(call.fields ?? {}),
    answers: { 200: hostAnswer(call.answer) },
    failures: deviceCallFailures,
  } as const satisfies DeviceRoute
}

/** Free parameters of a command; the host checks them against its own table of commands. */
export const commandFields = { command: z.string().min(1).max(200), params: z.looseObject({}).nullish() }

/** A rectangle in pixels of a 1280x720 picture. */
export const Area = z.looseObject({
  x: z.number(),
  y: z.number(),
  width: z.number().min(0),
  height: z.number().min(0),
})
export type Area = z.infer<typeof Area>

/** One element of a screen, as the hosts' remotes report it. */
export const ScreenElement = z.looseObject({})

/** A name that becomes a part of a path on a host: it can never be more than one part, and never lead upward. */
export const FileName = z
  .string()
  .min(1)
  .max(200)
  .regex(/^(?!\.{1,2}$)[^\p{C}/\\]+$/u, 'may not contain control characters or / \\')
