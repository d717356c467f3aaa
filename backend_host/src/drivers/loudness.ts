/** How sound leaves a device: mono, 16 bits, this many samples a second. */
export const soundRate = 48_000

/** Hands on what is heard, in real time, until the signal. */
export type Listen = (onSamples: (samples: Int16Array) => void, signal: AbortSignal) => Promise<void>

/** Long enough for the lowest tones, short enough to notice a gap. */
const heardSamples = soundRate / 10

/** Loudness from 0 to 100 of what is heard now: 100 is a tone as loud as the samples can say. */
export async function measureLoudness(listen: Listen, signal: AbortSignal): Promise<number> {
  const enough = new AbortController()
  let squares = 0
  let count = 0
  await listen(
    (samples) => {
      for (const sample of samples) squares += (sample / 32_768) ** 2
      count += samples.length
      if (count >= heardSamples) enough.abort()
    },
    AbortSignal.any([signal, enough.signal]),
  )
  signal.throwIfAborted()
  if (count === 0) throw new Error('The device gave no sound')
  return Math.min(100, Math.round(Math.sqrt((2 * squares) / count) * 100))
}
