import type { CommandResult, CommandSpec } from '../../drivers/driver.ts'
import { defineCommand } from '../../drivers/driver.ts'
import { loadSmallGray } from '../../vision/motion.ts'
import type { Area } from '../../vision/picture.ts'
import { createZapWatch, type Zap } from '../../vision/zap.ts'
import { type Eyes, verdict } from './eyes.ts'

const lookMs = 100
const readTimeoutMs = 30_000
const seconds = (ms: number): number => Math.round(ms) / 1000

const why = {
  nothing: 'The picture neither went black nor stood still',
  black: 'The picture went black and did not come back',
  freeze: 'The picture stands still',
  still: 'A picture came, but it does not move',
} as const

/** Banners lie below: whether the picture is black is seen above them. */
const upperPart = ({ width, height }: { width: number; height: number }): Area => ({
  x: 0,
  y: 0,
  width,
  height: Math.round(height * 0.6),
})
const lowerPart = ({ width, height }: { width: number; height: number }): Area => ({
  x: 0,
  y: Math.round(height * 0.6),
  width,
  height: Math.round(height * 0.4),
})

async function readBanner(eyes: Eyes, source: Buffer, region: Area, signal: AbortSignal) {
  if (!eyes.ocr) return {}
  const limit = AbortSignal.any([signal, AbortSignal.timeout(readTimeoutMs)])
  const { text } = await eyes.ocr.read(source, { area: region }, limit)
  const channel_number = /^\s*(\d{1,4})(?=\s|$)/m.exec(text)?.[1]
  return { banner_text: text, ...(channel_number !== undefined && { channel_number: Number(channel_number) }) }
}

export const zappingCheck: CommandSpec<Eyes> = defineCommand({
  name: 'DetectZapping',
  label: 'Detect change of channel',
  description: 'Passes when the picture goes black or stands still after a key, and another one moves',
  offer: { verification: 'video' },
  params: {
    key: { type: 'string', required: false, default: null, description: 'Key to press first', placeholder: 'CHANNEL_UP' },
    key_release_timestamp: {
      type: 'number',
      required: false,
      default: null,
      min: 0,
      description: 'When a key was pressed, in seconds since 1970; without it the last command of this device counts',
    },
    analysis_rectangle: {
      type: 'area',
      required: false,
      default: null,
      description: 'Where black and standstill are looked for',
    },
    banner_region: { type: 'area', required: false, default: null, description: 'Where the banner of the channel is read' },
    max_images: { type: 'number', required: false, default: 10, min: 1, max: 60, description: 'Seconds to look, at most' },
  },
  outputs: [
    { name: 'zapping_detected', type: 'boolean' },
    { name: 'transition_kind', type: 'string' },
    { name: 'blackscreen_duration', type: 'number' },
    { name: 'freeze_duration', type: 'number' },
    { name: 'zap_duration', type: 'number' },
    { name: 'channel_number', type: 'number' },
    { name: 'banner_text', type: 'string' },
  ],
  run: async (eyes: Eyes, values, signal): Promise<CommandResult> => {
    const { clock } = eyes
    const before = await eyes.picture(signal)
    const size = await sizeOf(before.data)
    const part = values.analysis_rectangle ?? upperPart(size)
    const watch = createZapWatch()
    let pressedAt = values.key_release_timestamp === null ? eyes.commandAt() : values.key_release_timestamp * 1000
    if (values.key) {
      watch.add(clock.now(), await loadSmallGray(before.data, part))
      pressedAt = clock.now()
      const pressed = await eyes.press(values.key, signal)
      if (!pressed.success) return { ...pressed, message: `${values.key} was not pressed: ${pressed.message}` }
    }
    const begun = clock.now()
    const end = begun + values.max_images * 1000
    let source = before.data
    let zap: Zap | null = null
    for (;;) {
      const at = clock.now()
      source = (await eyes.picture(signal)).data
      zap = watch.add(at, await loadSmallGray(source, part))
      if (zap || clock.now() >= end) break
      await clock.sleep(lookMs, signal)
    }
    const urls = await eyes.keep({ source })
    if (!zap) {
      const late = !values.key && begun - pressedAt > 1000 && begun - pressedAt < 60_000
      const hint = late ? `; looking began ${seconds(begun - pressedAt)} s after the key` : ''
      return verdict(false, '', `${why[watch.state()]}${hint}`, { output_data: { zapping_detected: false }, ...urls })
    }
    const ms = zap.endedAt - zap.startedAt
    const output_data = {
      zapping_detected: true,
      transition_kind: zap.kind,
      blackscreen_duration: zap.kind === 'black' ? seconds(ms) : 0,
      freeze_duration: zap.kind === 'freeze' ? seconds(ms) : 0,
      ...(pressedAt > 0 && pressedAt <= zap.startedAt + 1000 && { zap_duration: seconds(zap.endedAt - pressedAt) }),
      accuracy_ms: Math.round(zap.accuracyMs),
      ...(await readBanner(eyes, source, values.banner_region ?? lowerPart(size), signal)),
    }
    const message = `${zap.kind === 'black' ? 'Black' : 'Standstill'} for ${seconds(ms)} s, then another picture`
    return verdict(true, message, '', { output_data, ...urls })
  },
})

async function sizeOf(picture: Buffer): Promise<{ width: number; height: number }> {
  const { default: sharp } = await import('sharp')
  const { width, height } = await sharp(picture).metadata()
  return { width, height }
}
