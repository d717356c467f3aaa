import { soundRate } from '../driver.ts'

/** Deep enough to be told apart by ear: each channel is half a tone above the one before. */
const frequencyOf = (channel: number): number => 220 * 2 ** (channel / 12)

/** What the box sounds like: a steady tone for each channel, without a click where it becomes louder or higher. */
export function createTone() {
  let phase = 0
  return (count: number, loudness: number, channel: number): Int16Array => {
    const step = (2 * Math.PI * frequencyOf(channel)) / soundRate
    const most = (loudness / 100) * 32_767
    const samples = new Int16Array(count)
    for (let i = 0; i < count; i += 1) {
      samples[i] = Math.round(Math.sin(phase) * most)
      phase += step
    }
    phase %= 2 * Math.PI
    return samples
  }
}
