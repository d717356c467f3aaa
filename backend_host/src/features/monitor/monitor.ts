import { readdir, rm } from 'node:fs/promises'
import path from 'node:path'
import type { FastifyBaseLogger } from 'fastify'
import { loadSmallGray } from '../../vision/motion.ts'
import { toJpeg } from '../../vision/picture.ts'
import type { Frame, Live, LiveDevice } from '../live/index.ts'
import type { MediaStore } from '../media/index.ts'
import type { AlertOutbox } from './alert-outbox.ts'
import { createFaultDetector, type FaultChange, type FaultDelays, faultDelays, type Seen } from './fault-detector.ts'

const lookMs = 1_000
/** Pictures that are kept with what was seen, one a second. */
const keptLooks = 180
const thumbnailSize = { width: 320, height: 180 }

export interface Look {
  filename: string
  at: number
  analysis: Record<string, unknown>
}

export interface Monitor {
  looks(deviceId: string): readonly Look[]
  start(): void
  close(): Promise<void>
}

export interface MonitorOptions {
  live: Live
  media: MediaStore
  alerts: AlertOutbox
  log: FastifyBaseLogger
  delays?: FaultDelays
}

/**
 * Looks once a second at each picture that is made anyway, keeps the last three minutes, and reports what is wrong. A
 * device that nobody watches is not watched here either; keep its stream running to watch it all day.
 */
export function createMonitor({ live, media, alerts, log, delays = faultDelays }: MonitorOptions): Monitor {
  const watched = live.all.map((one) => ({
    one,
    detector: createFaultDetector(delays),
    looks: [] as Look[],
    number: 0,
    isLooking: false,
    wasWatching: false,
    lastGray: null as { frame: Frame; gray: Uint8Array } | null,
  }))
  type Watched = (typeof watched)[number]
  let timer: NodeJS.Timeout | undefined
  const open = new Set<Promise<void>>()

  async function look(state: Watched): Promise<void> {
    const { one, detector } = state
    const frame = one.feed.last()
    if (!frame) return
    // The same picture as last time is not read again: a still screen costs nothing here.
    const gray = state.lastGray?.frame === frame ? state.lastGray.gray : await loadSmallGray(frame.data)
    state.lastGray = { frame, gray }
    const sound = one.device.sound ? await one.device.sound(AbortSignal.timeout(lookMs)) : null
    const at = Date.now()
    const { changes, seen } = detector.see({ at, picture: gray, sound, commandAt: one.device.lastCommandAt() })
    await keep(state, frame, at, seen)
    for (const change of changes) await tell(one, change, frame)
  }

  async function keep(state: Watched, frame: Frame, at: number, seen: Seen): Promise<void> {
    const { device } = state.one
    state.number += 1
    const name = `capture_${String(state.number).padStart(9, '0')}`
    const filename = `${name}.jpg`
    await media.write(device.capture, 'captures', filename, frame.data)
    const previous = state.looks.slice(-3).map((one) => one.filename)
    const analysis = { timestamp: new Date(at).toISOString(), filename, ...seen, last_3_filenames: previous }
    await media.write(device.capture, 'metadata', `${name}.json`, JSON.stringify(analysis))
    state.looks.push({ filename, at, analysis })
    for (const gone of state.looks.splice(0, Math.max(0, state.looks.length - keptLooks))) {
      await rm(path.join(media.folderOf(device.capture, 'captures'), gone.filename), { force: true })
      await rm(path.join(media.folderOf(device.capture, 'metadata'), gone.filename.replace('.jpg', '.json')), { force: true })
    }
  }

  async function tell({ device }: LiveDevice, change: FaultChange, frame: Frame): Promise<void> {
    const moment = change.state === 'raised' ? 'start' : 'end'
    const name = `${change.type}_${change.startedAt}_${moment}.jpg`
    const url = await media.write(device.capture, 'thumbnails', name, await toJpeg(frame.data, thumbnailSize))
    log[change.state === 'raised' ? 'warn' : 'info']({ device_id: device.id, fault: change.type }, `fault ${change.state}`)
    await alerts.record(device.id, change, { [`${moment}_thumbnail_url`]: url })
  }

  function tick(): void {
    for (const state of watched) {
      const { isWatching } = state.one.feed.state()
      if (!isWatching && state.wasWatching) state.detector.pause()
      state.wasWatching = isWatching
      if (!isWatching || state.isLooking) continue
      state.isLooking = true
      const done = look(state)
        .catch((error: unknown) => log.warn({ err: error, device_id: state.one.device.id }, 'a look at the picture failed'))
        .finally(() => {
          state.isLooking = false
          open.delete(done)
        })
      open.add(done)
    }
  }

  return {
    looks: (deviceId) => watched.find(({ one }) => one.device.id === deviceId)?.looks ?? [],
    start() {
      for (const { one } of watched) {
        for (const folder of ['captures', 'metadata'] as const) {
          removeOld(media.folderOf(one.device.capture, folder)).catch((error: unknown) =>
            log.warn({ err: error }, 'old pictures stay'),
          )
        }
      }
      timer = setInterval(tick, lookMs)
    },
    async close() {
      clearInterval(timer)
      await Promise.all(open)
    },
  }
}

/** Pictures of an earlier life of this agent: their numbers begin again. */
async function removeOld(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => [])
  await Promise.all(
    names.filter((name) => name.startsWith('capture_')).map((name) => rm(path.join(folder, name), { force: true })),
  )
}
