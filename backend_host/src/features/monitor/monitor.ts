import { readdir, rm } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import { loadSmallGray } from '../../vision/motion.ts'
import { toJpeg } from '../../vision/picture.ts'
import type { Frame, Live, LiveDevice } from '../live/index.ts'
import type { MediaStore } from '../media/index.ts'
import type { AlertOutbox } from './alert-outbox.ts'
import {
  createFaultDetector,
  type EndReason,
  type FaultChange,
  type FaultDelays,
  faultDelays,
  type Seen,
} from './fault-detector.ts'

const lookMs = 1_000
/** Pictures that are kept with what was seen, one a second. */
const keptLooks = 180
/** After a start, viewers come back within this time; without any, what was raised before ends. */
const adoptionMs = 20_000
const thumbnailSize = { width: 320, height: 180 }

export interface Look {
  filename: string
  at: number
  analysis: Record<string, unknown>
}

export interface Monitor {
  looks(deviceId: string): readonly Look[]
  /** What the last looks saw of the device of this capture, oldest first; looks by itself where nobody watches. */
  lastLooks(capture: string, count: number, signal: AbortSignal): Promise<Record<string, unknown>[]>
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
    /** Faults of an earlier life that no look has judged yet. */
    hasAdopted: false,
    lastGray: null as { frame: Frame; gray: Uint8Array } | null,
  }))
  type Watched = (typeof watched)[number]
  let timer: NodeJS.Timeout | undefined
  let startedAt = 0
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
    state.hasAdopted = false
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

  async function tell({ device }: LiveDevice, change: FaultChange, frame: Frame | null): Promise<void> {
    const moment = change.state === 'raised' ? 'start' : 'end'
    const name = `${change.startedAt}_${change.type}_${moment}.jpg`
    log[change.state === 'raised' ? 'warn' : 'info'](
      { device_id: device.id, fault: change.type, end_reason: change.endReason },
      `fault ${change.state}`,
    )
    const picture = frame && (await toJpeg(frame.data, thumbnailSize))
    const url = picture && (await media.write(device.capture, 'thumbnails', name, picture))
    await alerts.record(device.id, change, url ? { [`${moment}_thumbnail_url`]: url } : {})
  }

  async function end(state: Watched, reason: Exclude<EndReason, 'seen'>): Promise<void> {
    state.hasAdopted = false
    for (const change of state.detector.stop(Date.now(), reason)) await tell(state.one, change, null)
  }

  function work(state: Watched, task: Promise<void>): void {
    state.isLooking = true
    const done = task
      .catch((error: unknown) => log.warn({ err: error, device_id: state.one.device.id }, 'a look at the picture failed'))
      .finally(() => {
        state.isLooking = false
        open.delete(done)
      })
    open.add(done)
  }

  function tick(): void {
    for (const state of watched) {
      if (state.isLooking) continue
      const { isWatching, isLost } = state.one.feed.state()
      const isSeen = isWatching && !isLost
      if (isSeen) work(state, look(state))
      else if (state.wasWatching) work(state, end(state, isLost ? 'stream_lost' : 'stream_stopped'))
      else if (state.hasAdopted && Date.now() - startedAt > adoptionMs) work(state, end(state, 'stream_stopped'))
      state.wasWatching = isSeen
    }
  }

  return {
    looks: (deviceId) => watched.find(({ one }) => one.device.id === deviceId)?.looks ?? [],
    async lastLooks(capture, count, signal) {
      const state = watched.find(({ one }) => one.device.capture === capture)
      if (!state) return []
      const begun = Date.now()
      // What was seen before the last command says nothing of what it did.
      const from = Math.max(begun - (count + 1) * lookMs, state.one.device.lastCommandAt())
      const leave = state.one.feed.view({ fps: 2, onFrame: () => undefined })
      try {
        const fresh = () => state.looks.filter(({ at }) => at >= from)
        while (fresh().length < count && Date.now() < begun + (2 * count + 15) * lookMs) {
          await pause(100, undefined, { signal })
        }
        return fresh()
          .slice(-count)
          .map(({ analysis }) => analysis)
      } finally {
        leave()
      }
    },
    start() {
      startedAt = Date.now()
      for (const state of watched) {
        for (const { type, started_at, consecutive_count } of alerts.active(state.one.device.id)) {
          state.detector.adopt(type, Date.parse(started_at), consecutive_count)
          state.hasAdopted = true
        }
        const { one } = state
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
