import { randomUUID } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import type { AlertReport } from '@virtualpytest/shared'
import type { FastifyBaseLogger } from 'fastify'
import { z } from 'zod'
import { type ServerClient, ServerUnreachable } from '../../link/server-client.ts'
import { type Bell, createBell } from '../../outbox/bell.ts'
import { readJson, writeDurably } from '../../process/durable-file.ts'
import type { FaultChange } from './fault-detector.ts'

const retryMs = { first: 2_000, most: 30_000 }
const callTimeoutMs = 10_000
const mostKept = 200
/** Each brings two small pictures along. */
const mostInOneCall = 20
const largestThumbnail = 100_000

const Stored = z.array(
  z.object({
    isDelivered: z.boolean(),
    report: z.looseObject({
      id: z.string(),
      device_id: z.string(),
      type: z.enum(['blackscreen', 'freeze', 'audio_loss']),
      status: z.enum(['active', 'resolved']),
      consecutive_count: z.number(),
      started_at: z.string(),
      ended_at: z.string().nullable(),
      end_reason: z.enum(['seen', 'stream_stopped', 'stream_lost']).nullish(),
      evidence: z.looseObject({}),
    }),
  }),
)

export interface AlertOutbox {
  /** Stores what has changed; resolves when it survives a power cut. */
  record(deviceId: string, change: FaultChange, evidence: Record<string, unknown>): Promise<void>
  recent(deviceId: string): AlertReport[]
  /** What has not ended: an earlier life of this agent may have raised it. */
  active(deviceId: string): z.infer<typeof Stored>[number]['report'][]
  start(): void
  close(): Promise<void>
}

/**
 * Alerts on disk until the server has them, so that none is lost while it is away or this agent is restarted. A report
 * says the whole state of its alert: it may be sent twice and in any order.
 */
export async function openAlertOutbox(options: {
  dataDir: string
  hostName: string
  client: ServerClient
  /** The server's time, in epoch milliseconds: alerts of all hosts stand in one list. */
  serverNow: () => number
  /** The bytes behind a URL of this host's media. */
  readPicture: (url: string) => Promise<Buffer>
  log: FastifyBaseLogger
}): Promise<AlertOutbox> {
  const folder = path.join(options.dataDir, 'state')
  await mkdir(folder, { recursive: true })
  const file = path.join(folder, 'alerts.json')
  // Damaged reports are lost reports, not a reason to drive no device.
  const kept = Stored.catch([]).parse((await readJson(file)) ?? [])
  const stopping = new AbortController()
  const bell: Bell = createBell()
  let writing: Promise<void> = Promise.resolve()
  let loop: Promise<void> = Promise.resolve()

  const asServerTime = (at: number): string => new Date(at + options.serverNow() - Date.now()).toISOString()

  function save(): Promise<void> {
    const done = writing.then(() => writeDurably(file, JSON.stringify(kept)))
    writing = done.catch(() => undefined)
    return done
  }
  function forgetOld(): void {
    while (kept.length > mostKept) {
      const oldest = kept.findIndex((one) => one.isDelivered && one.report.status === 'resolved')
      kept.splice(Math.max(0, oldest), 1)
    }
  }

  /** The pictures themselves: here they make room for newer ones. */
  async function thumbnails(evidence: Record<string, unknown>): Promise<{ start?: string; end?: string }> {
    const read = async (url: unknown): Promise<string | undefined> => {
      const data = typeof url === 'string' ? await options.readPicture(url).catch(() => undefined) : undefined
      return data && data.length <= largestThumbnail ? data.toString('base64') : undefined
    }
    const [start, end] = [await read(evidence.start_thumbnail_url), await read(evidence.end_thumbnail_url)]
    return { ...(start !== undefined && { start }), ...(end !== undefined && { end }) }
  }

  /** True when nothing is left to say. */
  async function deliver(): Promise<boolean> {
    const waiting = kept.filter((one) => !one.isDelivered)
    if (waiting.length === 0) return true
    const sent = waiting.slice(0, mostInOneCall).map((one) => ({ one, text: JSON.stringify(one.report) }))
    const reports = await Promise.all(
      sent.map(async ({ one }) => ({ ...one.report, thumbnails: await thumbnails(one.report.evidence) })),
    )
    const body = { host_name: options.hostName, alerts: reports }
    const answer = await options.client
      .post('/server/alerts/report', body, { timeoutMs: callTimeoutMs, signal: stopping.signal })
      .catch((error: unknown) => {
        if (error instanceof ServerUnreachable) return undefined
        throw error
      })
    if (!answer || answer.status >= 500 || answer.status === 401) return false
    // A server without alerts, such as the original, or one that knows no such device: repeating would not help.
    if (answer.status >= 400)
      options.log.info({ status: answer.status, error: answer.body.error }, 'the server did not take alerts')
    for (const { one, text } of sent) if (JSON.stringify(one.report) === text) one.isDelivered = true
    await save()
    return kept.every((one) => one.isDelivered) || deliver()
  }

  return {
    async record(deviceId, change, evidence) {
      const open = kept.findLast(
        ({ report }) => report.device_id === deviceId && report.type === change.type && report.status === 'active',
      )
      const times = {
        status: change.state === 'raised' ? ('active' as const) : ('resolved' as const),
        consecutive_count: change.count,
        ended_at: change.endedAt === null ? null : asServerTime(change.endedAt),
        end_reason: change.endReason,
      }
      if (open) {
        Object.assign(open.report, times, { evidence: { ...open.report.evidence, ...evidence } })
        open.isDelivered = false
      } else {
        const started_at = asServerTime(change.startedAt)
        const report = { id: randomUUID(), device_id: deviceId, type: change.type, started_at, evidence, ...times }
        kept.push({ isDelivered: false, report })
      }
      forgetOld()
      await save()
      bell.ring()
    },
    active: (deviceId) =>
      kept.map((one) => one.report).filter((report) => report.device_id === deviceId && report.status === 'active'),
    recent: (deviceId) => kept.map((one) => one.report).filter((report) => report.device_id === deviceId),
    start() {
      loop = (async () => {
        let waitMs = retryMs.first
        while (!stopping.signal.aborted) {
          const isDone = await deliver().catch((error: unknown) => {
            options.log.error({ err: error }, 'alerts could not be delivered')
            return false
          })
          waitMs = isDone ? retryMs.first : Math.min(retryMs.most, waitMs * 2)
          await bell.wait(isDone ? 3600_000 : waitMs, stopping.signal)
        }
      })()
    },
    async close() {
      stopping.abort()
      bell.ring()
      await loop
      await writing
    },
  }
}
