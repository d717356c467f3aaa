import { z } from 'zod'
import { DeviceId, HostName, TeamQuery } from '../ids.ts'
import { defineRoutes } from '../route.ts'
import { alertEndReasons, alertTypes } from './alert.states.ts'

const Thumbnail = z.base64().max(150_000)
const instant = z.iso.datetime({ offset: true })

/** What an agent says of one fault of picture or sound: its whole state, so that it may be said twice and late. */
export const AlertReport = z
  .object({
    id: z.uuid(),
    device_id: DeviceId,
    type: z.enum(alertTypes),
    status: z.enum(['active', 'resolved']),
    consecutive_count: z.int().min(1).describe('looks in a row that saw it'),
    started_at: instant,
    ended_at: instant.nullable(),
    end_reason: z.enum(['seen', 'stream_stopped', 'stream_lost']).nullish(),
    evidence: z.looseObject({}).describe('paths of thumbnails on the host, figures'),
    thumbnails: z
      .object({ start: Thumbnail.optional(), end: Thumbnail.optional() })
      .nullish()
      .describe('what the screen showed then, as base64 of a JPEG: the host keeps its own copies for a while only'),
  })
  .refine((one) => (one.status === 'resolved') === (one.ended_at !== null), { message: 'ended_at is set exactly when resolved' })
  .meta({ id: 'AlertReport' })
export type AlertReport = z.input<typeof AlertReport>

/** An alert in the shape of the original; the thumbnails are at this server. */
export const Alert = z
  .looseObject({
    id: z.uuid(),
    host_name: z.string(),
    device_id: z.string(),
    device_name: z.string().nullable(),
    incident_type: z.enum(alertTypes),
    status: z.enum(['active', 'resolved']),
    consecutive_count: z.int(),
    start_time: z.string(),
    end_time: z.string().nullable(),
    duration_seconds: z.number().nullable().describe('null while it is active'),
    end_reason: z.enum(alertEndReasons).nullable(),
    start_thumbnail_url: z.string().nullable(),
    end_thumbnail_url: z.string().nullable(),
    run_id: z.string().nullable(),
    metadata: z.looseObject({}),
    checked: z.boolean(),
    check_type: z.string().nullable(),
    discard: z.boolean(),
    discard_type: z.string().nullable(),
    discard_comment: z.string().nullable(),
    created_at: z.string(),
    updated_at: z.string(),
  })
  .meta({ id: 'Alert' })
export type Alert = z.infer<typeof Alert>

const filter = TeamQuery.extend({
  host_name: HostName.optional(),
  device_id: DeviceId.optional(),
  incident_type: z.enum(alertTypes).optional(),
})
const limit = z.coerce.number().int().min(1).max(1000).default(100)
const list = z.object({ success: z.literal(true), alerts: z.array(Alert), count: z.int() })
const marked = z.object({ status: z.literal('success') })
const params = z.object({ alert_id: z.uuid() })

export const alertRoutes = defineRoutes({
  report: {
    method: 'POST',
    path: '/server/alerts/report',
    access: 'host',
    summary: 'Our agent reports faults of picture and sound, begun and ended; safe to repeat',
    body: z.object({ host_name: HostName, alerts: z.array(AlertReport).min(1).max(500) }),
    answers: { 200: z.object({ success: z.literal(true), stored: z.int() }) },
    failures: [400, 401, 404],
  },
  all: {
    method: 'GET',
    path: '/server/alerts/getAllAlerts',
    access: 'viewer',
    summary: 'Active and resolved alerts, newest first',
    query: filter.extend({ active_limit: limit, resolved_limit: limit }),
    answers: { 200: list.extend({ active_count: z.int(), resolved_count: z.int() }) },
    failures: [400],
  },
  active: {
    method: 'GET',
    path: '/server/alerts/getActiveAlerts',
    access: 'viewer',
    summary: 'Alerts that have not ended, newest first',
    query: filter.extend({ limit }),
    answers: { 200: list },
    failures: [400],
  },
  closed: {
    method: 'GET',
    path: '/server/alerts/getClosedAlerts',
    access: 'viewer',
    summary: 'Alerts that have ended, newest first',
    query: filter.extend({ limit }),
    answers: { 200: list },
    failures: [400],
  },
  check: {
    method: 'PUT',
    path: '/server/alerts/updateCheckedStatus/{alert_id}',
    access: 'tester',
    summary: 'Mark an alert as looked at',
    params,
    query: TeamQuery,
    body: z.object({ checked: z.boolean(), check_type: z.string().max(100).nullish() }),
    answers: { 200: marked },
    failures: [400, 404],
  },
  discard: {
    method: 'PUT',
    path: '/server/alerts/updateDiscardStatus/{alert_id}',
    access: 'tester',
    summary: 'Mark an alert as a false alarm, or take that back',
    params,
    query: TeamQuery,
    body: z.object({
      discard: z.boolean(),
      discard_comment: z.string().max(5000).nullish(),
      discard_type: z.string().max(100).nullish(),
      check_type: z.string().max(100).nullish(),
    }),
    answers: { 200: marked },
    failures: [400, 404],
  },
  thumbnail: {
    method: 'GET',
    path: '/server/alerts/{alert_id}/thumbnail/{moment}',
    access: 'viewer',
    summary: 'What the screen showed when an alert began or ended, as a small JPEG',
    params: params.extend({ moment: z.enum(['start', 'end']) }),
    query: TeamQuery,
    answers: { 200: null },
    produces: 'image/jpeg',
    failures: [404, 503],
  },
  deleteAll: {
    method: 'DELETE',
    path: '/server/alerts/deleteAllAlerts',
    access: 'admin',
    summary: 'Delete all alerts of the team, also active ones; a fault that goes on is reported again with its end',
    query: TeamQuery,
    answers: { 200: z.object({ success: z.literal(true), deleted_count: z.int(), message: z.string() }) },
    failures: [400],
  },
})
