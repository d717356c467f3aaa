import type { Writable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import { soundRate } from '../../drivers/driver.ts'
import type { Device } from '../devices/index.ts'

const writeEveryMs = 50
/** A machine with much to do hands sound on in bursts: silence is written only for what is later than this. */
const lateSamples = soundRate * 0.3
/** What has piled up beyond this would be heard behind the picture. */
const mostWaiting = soundRate
const retryMs = 1_000

/**
 * Writes the sound of a device at a steady rate until the signal: as many samples as time has passed, with silence where
 * none came. An encoder that waits for sound would hold up the picture.
 */
export async function feedSound(device: Device, out: Writable, log: FastifyBaseLogger, signal: AbortSignal): Promise<void> {
  const { listen } = device.driver
  if (!listen) return
  const waiting: Int16Array[] = []
  let waitingCount = 0
  let written = 0
  const begun = performance.now()
  const take = (count: number): Int16Array => {
    const taken = new Int16Array(count)
    let at = 0
    while (at < count) {
      const first = waiting.shift()
      if (!first) break
      const part = first.subarray(0, count - at)
      taken.set(part, at)
      at += part.length
      waitingCount -= part.length
      if (part.length < first.length) waiting.unshift(first.subarray(part.length))
    }
    return taken
  }
  const writing = setInterval(() => {
    const due = Math.floor(((performance.now() - begun) / 1000) * soundRate) - written
    const silence = Math.max(0, due - waitingCount - lateSamples)
    const count = Math.min(due, waitingCount) + silence
    if (count <= 0 || out.writableNeedDrain || out.destroyed) return
    const samples = take(count)
    written += count
    out.write(Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength))
  }, writeEveryMs)
  const hear = (samples: Int16Array): void => {
    waiting.push(samples)
    waitingCount += samples.length
    if (waitingCount > mostWaiting) take(waitingCount - lateSamples)
  }
  try {
    while (!signal.aborted) {
      await device
        .open(signal)
        .then(() => listen(hear, signal))
        .catch((error: unknown) => {
          if (!signal.aborted) log.warn({ err: error }, 'the sound broke off; it is tried again')
        })
      await pause(retryMs, undefined, { signal }).catch(() => undefined)
    }
  } finally {
    clearInterval(writing)
  }
}
