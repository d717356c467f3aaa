import { stat } from 'node:fs/promises'
import path from 'node:path'
import { LabError } from '@virtualpytest/shared'
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { parseRequest } from '../../http/errors.ts'
import { type Access, Target, target } from '../control/index.ts'
import type { MediaStore } from '../media/index.ts'
import type { AlertOutbox } from './alert-outbox.ts'
import type { Look, Monitor } from './monitor.ts'

const ListCaptures = z.object({ ...target, limit: z.number().int().min(1).max(1000).default(180) })
const SegmentCapture = z.object({ ...target, segment_number: z.number().int().min(0), fps: z.number().nullish() })

/** What the monitor saw lately. */
export function monitorRoutes(
  app: FastifyInstance,
  { access, monitor, alerts, media }: { access: Access; monitor: Monitor; alerts: AlertOutbox; media: MediaStore },
): void {
  app.post('/host/monitoring/latest-json', (request) => {
    const { device_id } = parseRequest(Target, request.body)
    access.devices.require(device_id)
    const last = monitor.looks(device_id).at(-1)
    if (!last) return { success: false, error: 'The picture of this device is not watched now', message: 'No analysis' }
    return {
      success: true,
      json_data: last.analysis,
      filename: last.filename.replace('.jpg', '.json'),
      timestamp: last.at / 1000,
    }
  })

  app.post('/host/monitoring/live-events', (request) => {
    const { device_id } = parseRequest(Target, request.body)
    access.devices.require(device_id)
    const events = alerts.recent(device_id).slice(-50)
    return { success: true, events, count: events.length }
  })

  app.post('/host/monitoring/listCaptures', (request) => {
    const { device_id, limit } = parseRequest(ListCaptures, request.body)
    const { capture } = access.devices.require(device_id)
    const looks = monitor.looks(device_id)
    const captures = looks.slice(-limit).map((look) => ({
      filename: look.filename,
      timestamp: look.at,
      url: media.urlOf(capture, 'captures', look.filename),
    }))
    return { success: true, captures, total: looks.length }
  })

  /** The picture of the moment at which a piece of the stream was made; both are kept by time. */
  app.post('/host/av/getSegmentCapture', async (request) => {
    const { device_id, segment_number } = parseRequest(SegmentCapture, request.body)
    const { capture } = access.devices.require(device_id)
    const piece = path.join(media.folderOf(capture, 'segments'), `segment_${String(segment_number).padStart(9, '0')}.ts`)
    const made = await stat(piece).catch(() => null)
    const found = made && nearest(monitor.looks(device_id), made.mtimeMs)
    if (!found) throw new LabError('not_found', { text: 'There is no picture of this piece of the stream.' })
    const url = media.urlOf(capture, 'captures', found.filename)
    const capture_number = Number(/\d+/.exec(found.filename)?.[0])
    return { success: true, capture_url: url, capture_path: url, segment_number, capture_number }
  })
}

function nearest(looks: readonly Look[], at: number): Look | undefined {
  return [...looks].sort((a, b) => Math.abs(a.at - at) - Math.abs(b.at - at))[0]
}
