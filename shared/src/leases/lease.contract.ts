import { z } from 'zod'
import { TeamQuery, Timestamp } from '../ids.ts'
import { defineRoutes } from '../route.ts'

export const HolderKind = z.enum(['user', 'run', 'campaign', 'health_check', 'maintenance'])
export type HolderKind = z.infer<typeof HolderKind>

/** Who speaks, where no token says it: what the web app sends of its user. */
export const Identity = z.object({
  session_id: z.string().max(200).nullish(),
  user_id: z.string().max(200).nullish(),
})

/** The right of one holder to use one device until `expires_at`. `token` proves it on every later write and only grows. */
export const Lease = z
  .object({
    id: z.uuid(),
    host_name: z.string(),
    device_id: z.string(),
    holder_kind: HolderKind,
    holder: z.string().describe('name of the token, user or session id, or the id of the run'),
    holder_name: z.string().describe('the holder as people read it: for a run its script'),
    purpose: z.string().nullable(),
    priority: z.int(),
    token: z.int().min(1).nullable(),
    status: z.enum(['waiting', 'held', 'released', 'expired', 'revoked']),
    requested_at: Timestamp,
    granted_at: Timestamp.nullable(),
    last_activity_at: Timestamp.nullable(),
    expires_at: Timestamp.nullable(),
    kept_until: Timestamp.nullable().describe('extended by hand until then'),
    beats: z.boolean().describe('the client sends heartbeats; its silence ends the lease within 45 s'),
    ended_at: Timestamp.nullable(),
    end_reason: z.string().nullable(),
    ended_by: z.string().nullable(),
    position: z.int().min(1).nullable().describe('1 = next on its device; null when not waiting'),
  })
  .meta({ id: 'Lease' })
export type Lease = z.infer<typeof Lease>

/** The question of somebody who waits to the holder of a lease. */
export const LeaseAsk = z
  .object({
    id: z.uuid(),
    lease_id: z.uuid(),
    host_name: z.string(),
    device_id: z.string(),
    asked_by: z.string(),
    message: z.string().nullable(),
    status: z.enum(['open', 'given', 'refused', 'void']),
    asked_at: Timestamp,
    answer_by: Timestamp.describe('end of the countdown'),
    answered_at: Timestamp.nullable(),
    answer_message: z.string().nullable(),
    answered_by_holder: z.boolean().nullable().describe('false: nobody answered, the rule for silence decided'),
  })
  .meta({ id: 'LeaseAsk' })
export type LeaseAsk = z.infer<typeof LeaseAsk>

/** Limits of a team. */
export const LeaseSettings = z
  .object({
    ask_seconds: z.int().min(10).max(3600).default(60).describe('how long the holder has to answer somebody who asks'),
    ask_again_seconds: z
      .int()
      .min(0)
      .max(86_400)
      .default(300)
      .describe('how long a person waits before they may ask the same holder, or for the same device, again; 0: no wait'),
    max_extend_seconds: z.int().min(60).max(86_400).default(3600).describe('longest extension in one go'),
    max_hold_seconds: z.int().min(300).max(604_800).default(28_800).describe('no extension beyond this time since the grant'),
  })
  .meta({ id: 'LeaseSettings' })
export type LeaseSettings = z.infer<typeof LeaseSettings>

const success = z.literal(true)
const LeaseParams = z.object({ lease_id: z.uuid() })
const AskParams = z.object({ ask_id: z.uuid() })

export const HeartbeatBody = Identity.extend({
  active: z.boolean().default(false).describe('the person did something since the last one'),
})
/** Body of the socket message `hold`; the acknowledgment is the answer of the heartbeat route or the error envelope. */
export const HoldLease = HeartbeatBody.extend({ lease_id: z.uuid() })
export type HoldLease = z.infer<typeof HoldLease>

export const HeartbeatAnswer = z.object({
  success,
  lease: Lease,
  asks: z.array(LeaseAsk).describe('open questions to the holder'),
})
export type HeartbeatAnswer = z.infer<typeof HeartbeatAnswer>

export const leaseRoutes = defineRoutes({
  list: {
    method: 'GET',
    path: '/server/leases',
    access: 'viewer',
    summary: 'Who holds or waits for which device, since when and until when; also ended leases on request',
    query: TeamQuery.extend({
      status: z.enum(['held', 'waiting', 'all']).default('held'),
      host_name: z.string().optional(),
      device_id: z.string().optional(),
      limit: z.coerce.number().int().min(1).max(500).default(100),
    }),
    answers: { 200: z.object({ success, leases: z.array(Lease) }) },
  },
  heartbeat: {
    method: 'POST',
    path: '/server/leases/{lease_id}/heartbeat',
    access: 'tester',
    summary: 'The client of a holder, or of somebody who waits, is there; from the first one on silence ends the lease in 45 s',
    params: LeaseParams,
    query: TeamQuery,
    body: HeartbeatBody,
    answers: { 200: HeartbeatAnswer },
    failures: [400, 403, 404, 409],
  },
  extend: {
    method: 'POST',
    path: '/server/leases/{lease_id}/extend',
    access: 'tester',
    summary: 'Keep a device for some time without signs of life; refused while others wait',
    params: LeaseParams,
    query: TeamQuery,
    body: Identity.extend({ seconds: z.int().min(60).max(86_400).describe('from now on') }),
    answers: { 200: z.object({ success, lease: Lease }) },
    failures: [400, 403, 404, 409],
  },
  leave: {
    method: 'POST',
    path: '/server/leases/{lease_id}/release',
    access: 'tester',
    summary: 'Give a device back, or give up a place in the line',
    params: LeaseParams,
    query: TeamQuery,
    body: Identity,
    answers: { 200: z.object({ success, lease: Lease }) },
    failures: [400, 403, 404, 409],
  },
  readAsk: {
    method: 'GET',
    path: '/server/lease-asks/{ask_id}',
    access: 'viewer',
    summary: 'A question to a holder and its answer',
    params: AskParams,
    query: TeamQuery,
    answers: { 200: z.object({ success, ask: LeaseAsk }) },
    failures: [404],
  },
  answerAsk: {
    method: 'POST',
    path: '/server/lease-asks/{ask_id}/answer',
    access: 'tester',
    summary: 'The holder gives the device back to the line, or says no',
    params: AskParams,
    query: TeamQuery,
    body: Identity.extend({ give: z.boolean(), message: z.string().max(500).nullish() }),
    answers: { 200: z.object({ success, ask: LeaseAsk }) },
    failures: [400, 403, 404, 409],
  },
  readSettings: {
    method: 'GET',
    path: '/server/lease-settings',
    access: 'viewer',
    summary: 'Limits of leases in this team',
    query: TeamQuery,
    answers: { 200: z.object({ success, settings: LeaseSettings }) },
  },
  writeSettings: {
    method: 'PUT',
    path: '/server/lease-settings',
    access: 'admin',
    summary: 'Change the limits of leases in this team; what is not sent goes back to its default',
    query: TeamQuery,
    body: LeaseSettings,
    answers: { 200: z.object({ success, settings: LeaseSettings }) },
    failures: [400],
  },
})
