import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import type { Writable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import { soundRate } from '../../drivers/driver.ts'
import type { Device } from '../devices/index.ts'
import type { PictureFeed } from './picture-feed.ts'
import { feedSound } from './sound-feed.ts'

export const qualities = {
  low: { fps: 4, width: 640, height: 360, crf: 32 },
  sd: { fps: 8, width: 1280, height: 720, crf: 30 },
  hd: { fps: 12, width: 1280, height: 720, crf: 24 },
} as const
export type Quality = keyof typeof qualities

/** After the last request for the list; players ask for it every second. */
const idleMs = 15_000
const firstListMs = 12_000
const restartMs = { first: 300, most: 5_000 }
/** Seconds of one piece, and how many are kept, as on original hosts. */
const pieceSeconds = 1
const keptPieces = 150
const numbersBegin = Date.UTC(2020, 0, 1)

/** One life of the stream, from a first viewer to the last, or to another quality. */
interface Turn {
  stop: AbortController
  /** What is in the folder belongs to this turn, so that nobody is shown the list of the one before. */
  isBegun: boolean
  /** Of its pieces. Also of those after a kill: ffmpeg goes on with the numbers of its list only if it was told no greater one. */
  firstNumber: number
  /** The next turn goes on with the pieces of this one. */
  isContinued: boolean
}

/**
 * The moving picture as HLS, made by ffmpeg while somebody asks for it.
 * States: idle -(a request for the list)-> starting -> running -(15 s without request)-> idle. When ffmpeg dies it is
 * started again and goes on with the same list, so that players follow over the gap; so it does in another quality.
 */
export interface HlsStream {
  /** A browser asks for a file of the stream; resolves when the list is there, or after 12 s. */
  touch(name: string): Promise<void>
  /** Keeps running without viewers until it is let go. */
  pin(isPinned: boolean): void
  restart(quality: Quality): void
  state(): { isRunning: boolean; isPinned: boolean; quality: Quality; pid: number | null; restarts: number }
  close(): Promise<void>
}

export interface HlsOptions {
  device: Device
  feed: PictureFeed
  folder: string
  program: string
  log: FastifyBaseLogger
}

export function createHls({ device, feed, folder, program, log }: HlsOptions): HlsStream {
  let quality: Quality = 'sd'
  let isPinned = false
  let askedAt = 0
  let restarts = 0
  let turn: Turn | undefined
  let child: ChildProcess | undefined
  let running: Promise<void> = Promise.resolve()
  const list = path.join(folder, 'output.m3u8')

  const isWanted = (): boolean => isPinned || Date.now() - askedAt < idleMs

  async function encode({ stop, firstNumber }: Turn, isFirst: boolean): Promise<void> {
    const { signal } = stop
    const { fps } = qualities[quality]
    const hasSound = device.driver.listen !== undefined
    const own = spawn(program, encoderOptions(quality, folder, { isFirst, firstNumber, hasSound }), {
      stdio: ['pipe', 'ignore', 'pipe', 'pipe'],
    })
    const exited = once(own, 'exit').catch((error: unknown) => [error])
    const { stdin, stderr } = own
    if (!stdin || !stderr) throw new Error('ffmpeg has no pipes')
    child = own
    const silenced = new AbortController()
    const sound = own.stdio[3] as Writable
    sound.on('error', () => undefined)
    const listening = feedSound(device, sound, log, silenced.signal)
    let complaints = ''
    stderr.on('data', (chunk: Buffer) => (complaints = (complaints + String(chunk)).slice(-1000)))
    stdin.on('error', () => undefined)
    const leave = feed.view({ fps, onFrame: () => undefined })
    // A steady rate, also of a screen that stands still: players take a gap for the end.
    const feeding = setInterval(() => {
      const frame = feed.last()
      if (frame && !stdin.writableNeedDrain) stdin.write(frame.data)
      if (!isWanted()) stop.abort()
    }, 1000 / fps)
    const end = (): void => {
      stdin.end()
      sound.end()
      setTimeout(() => own.kill('SIGKILL'), 2_000).unref()
    }
    signal.addEventListener('abort', end, { once: true })
    if (signal.aborted) end()
    const [code, by] = (await exited) as [unknown, unknown]
    signal.removeEventListener('abort', end)
    clearInterval(feeding)
    leave()
    silenced.abort()
    await listening
    child = undefined
    if (!signal.aborted)
      log.warn({ code, signal: by, complaints: complaints.trim().split('\n').at(-1) }, 'ffmpeg ended; it is started again')
  }

  async function run(own: Turn, before: Turn | undefined): Promise<void> {
    const { signal } = own.stop
    await mkdir(folder, { recursive: true })
    if (!before) await removePieces(folder)
    own.isBegun = true
    let waitMs = restartMs.first
    for (let isFirst = !before; !signal.aborted; isFirst = false) {
      const startedAt = performance.now()
      await encode(own, isFirst)
      if (signal.aborted) break
      restarts += 1
      waitMs = performance.now() - startedAt > 10_000 ? restartMs.first : Math.min(restartMs.most, waitMs * 2)
      await pause(waitMs, undefined, { signal }).catch(() => undefined)
    }
    // An old list would be shown to the next viewer as if it were live.
    if (!own.isContinued) await removePieces(folder)
  }

  /** `before`: the turn whose list goes on. */
  function start(before?: Turn): void {
    if (turn && !turn.stop.signal.aborted) return
    const firstNumber = before?.firstNumber ?? numberNow()
    const own: Turn = { stop: new AbortController(), isBegun: before !== undefined, firstNumber, isContinued: false }
    turn = own
    running = running
      .then(() => run(own, before))
      .catch((error: unknown) => log.error({ err: error }, 'the stream could not be made'))
      // Whatever ended it: the next viewer starts it again.
      .finally(() => own.stop.abort())
  }

  return {
    async touch(name) {
      askedAt = Date.now()
      if (name !== 'output.m3u8') return
      start()
      const until = Date.now() + firstListMs
      const isOver = (): boolean => turn === undefined || turn.stop.signal.aborted || Date.now() >= until
      while (!isOver() && !(turn?.isBegun && (await stat(list).catch(() => null)))) await pause(50)
    },
    pin(pinned) {
      isPinned = pinned
      if (pinned) start()
    },
    restart(wanted) {
      quality = wanted
      if (!turn || turn.stop.signal.aborted) return
      turn.isContinued = true
      turn.stop.abort()
      start(turn)
    },
    state: () => ({ isRunning: child !== undefined, isPinned, quality, pid: child?.pid ?? null, restarts }),
    async close() {
      isPinned = false
      turn?.stop.abort()
      child?.kill('SIGKILL')
      await running
    },
  }
}

function encoderOptions(
  quality: Quality,
  folder: string,
  { isFirst, firstNumber, hasSound }: { isFirst: boolean; firstNumber: number; hasSound: boolean },
): string[] {
  const { fps, width, height, crf } = qualities[quality]
  const fit = `scale=${width}:${height}:force_original_aspect_ratio=decrease,pad=${width}:${height}:(ow-iw)/2:(oh-ih)/2`
  const flags = ['delete_segments', 'omit_endlist', 'program_date_time', 'temp_file', ...(isFirst ? [] : ['append_list'])]
  return [
    ['-hide_banner', '-loglevel', 'error', '-nostats'],
    ['-fflags', 'nobuffer', '-probesize', '32', '-analyzeduration', '0'],
    ['-f', 'image2pipe', '-c:v', 'mjpeg', '-framerate', String(fps), '-use_wallclock_as_timestamps', '1', '-i', 'pipe:0'],
    hasSound ? ['-thread_queue_size', '64', '-f', 's16le', '-ar', String(soundRate), '-ac', '1', '-i', 'pipe:3'] : [],
    hasSound ? ['-map', '0:v', '-map', '1:a', '-c:a', 'aac', '-b:a', '96k'] : ['-an'],
    ['-vf', `${fit},format=yuv420p`, '-r', String(fps), '-threads', '1'],
    ['-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-crf', String(crf)],
    ['-g', String(fps * pieceSeconds), '-keyint_min', String(fps * pieceSeconds), '-sc_threshold', '0'],
    ['-f', 'hls', '-hls_time', String(pieceSeconds), '-hls_list_size', String(keptPieces), '-hls_flags', flags.join('+')],
    [
      '-start_number',
      String(firstNumber),
      '-hls_segment_filename',
      path.join(folder, 'segment_%09d.ts'),
      path.join(folder, 'output.m3u8'),
    ],
  ].flat()
}

/**
 * Numbers only grow, also over the end of a stream and a restart of this program: a player that was there before takes a number
 * it knows for a picture it has, and shows that one again as if it were live. Pieces of a second each never overtake the clock.
 */
const numberNow = (): number => Math.floor((Date.now() - numbersBegin) / (pieceSeconds * 1000))

async function removePieces(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => [])
  await Promise.all(names.map((name) => rm(path.join(folder, name), { force: true, recursive: true })))
}
