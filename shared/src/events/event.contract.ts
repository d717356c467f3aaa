import { z } from 'zod'
import { TeamQuery } from '../ids.ts'
import { defineRoutes } from '../route.ts'

/** Every state change the product announces; one row each, written with the change itself. */
export const eventTypes = [
  'host.online',
  'host.offline',
  'host.draining',
  'host.devices_changed',
  'host.unreachable',
  'device.flags_changed',
  'device.status_changed',
  'device.health_changed',
  'lease.granted',
  'lease.released',
  'lease.expired',
  'lease.revoked',
  'lease.extended',
  'lease.waiting',
  'lease.wait_ended',
  'lease.asked',
  'lease.ask_answered',
  'run.queued',
  'run.assigned',
  'run.running',
  'run.finished',
  'run.cancel_requested',
  'run.step',
  'run.progress',
  'run.log',
  'run.report',
  'alert.raised',
  'alert.resolved',
  'alert.deleted',
  'token.created',
  'token.revoked',
] as const
export type EventType = (typeof eventTypes)[number]

/** One event as clients receive it. `seq` grows without gaps over the whole server; ask for `after` the last one seen. */
export const LabEvent = z
  .object({
    seq: z.int().min(1),
    type: z.string(),
    subject: z.object({ kind: z.string(), id: z.string() }),
    data: z.looseObject({}),
    at: z.string(),
  })
  .meta({ id: 'LabEvent' })
export type LabEvent = z.infer<typeof LabEvent>

/** A room is `team`, `host:NAME`, `device:HOST:DEVICE` or `run:ID`; `team:ID` also names the caller's own team. */
export const Room = z
  .string()
  .max(400)
  .regex(
    /^(team(:[0-9a-f-]{36})?|host:.+|device:.+:.+|run:[0-9a-f-]{36})$/i,
    'must be team, host:NAME, device:HOST:DEVICE or run:ID',
  )

export const rooms = {
  team: (teamId: string) => `team:${teamId}`,
  host: (hostName: string) => `host:${hostName}`,
  device: (hostName: string, deviceId: string) => `device:${hostName}:${deviceId}`,
  run: (runId: string) => `run:${runId}`,
}

/** Body of the socket message `subscribe`; the acknowledgment is `{success, after}` or the error envelope. */
export const Subscribe = z.object({
  rooms: z.array(Room).min(1).max(100),
  after: z.int().min(0).optional().describe('last sequence number seen; absent: only what comes from now on'),
  team_id: z.unknown().optional(),
})
export type Subscribe = z.infer<typeof Subscribe>

export const eventRoutes = defineRoutes({
  stream: {
    method: 'GET',
    path: '/server/events',
    access: 'viewer',
    summary: 'The event stream as server-sent events; resumes after `after` or the header Last-Event-ID',
    query: TeamQuery.extend({
      rooms: z.string().max(5000).default('team').describe('comma list of rooms'),
      after: z.coerce.number().int().min(0).optional(),
    }),
    answers: { 200: null },
    produces: 'text/event-stream',
    failures: [400],
  },
})
