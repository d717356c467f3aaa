/** Channel change times of a set-top box: from the key to the new picture with its banner. */
import assert from 'node:assert/strict'
import {
  device,
  luminance,
  measure,
  params,
  run,
  screenshot,
  step,
  waitForScreen,
  waitForText,
} from '@virtualpytest/backend-host/sdk'

export const _script_args = ['--channels:int:5', '--max-ms:int:1500', '--key:str:CHANNEL_UP'] as const

const args = params(_script_args)

/** Longer than any limit: a slow change shall be measured, not only refused. */
const giveUpMs = 15_000

type Banner = { number: string; channel: string }

/** The banner of another channel than `before`. While the picture is black there is none. */
async function waitForBanner(before: Banner | null): Promise<Banner> {
  const what = before ? `The banner of another channel than ${before.number} ${before.channel}` : 'The channel banner'
  return waitForScreen(
    what,
    ({ elements }) => {
      const number = elements.find((element) => element.id === 'banner_number')?.text
      const channel = elements.find((element) => element.id === 'banner_channel')?.text
      return number && channel && number !== before?.number ? { number, channel } : null
    },
    { timeoutMs: giveUpMs, intervalMs: 20 },
  )
}

async function openLiveTv(): Promise<Banner> {
  await device.command('power_on')
  await device.pressKey('HOME')
  await waitForText('Watch now', { timeoutMs: giveUpMs })
  await device.pressKey('OK')
  return waitForBanner(null)
}

async function zap(before: Banner): Promise<{ banner: Banner; changeMs: number }> {
  const started = performance.now()
  await device.pressKey(args.key)
  const banner = await waitForBanner(before)
  const changeMs = Math.round(performance.now() - started)
  await measure('channel_change', changeMs, 'ms')
  const brightness = await luminance(await screenshot())
  assert.ok(brightness > 2, `The picture of ${banner.channel} is black (brightness ${brightness.toFixed(1)} of 100)`)
  assert.ok(changeMs <= args['max-ms'], `The change to ${banner.channel} took ${changeMs} ms, allowed are ${args['max-ms']} ms`)
  return { banner, changeMs }
}

await run(async () => {
  assert.ok(args.channels >= 1, '--channels must be at least 1')
  let banner = await step('Open live TV', openLiveTv)
  const times: number[] = []
  for (let i = 1; i <= args.channels; i += 1) {
    const from = `${banner.number} ${banner.channel}`
    const change = await step(`Change ${i} of ${args.channels}, from ${from}`, () => zap(banner), { kind: 'verification' })
    banner = change.banner
    times.push(change.changeMs)
    console.log(`  ${from} -> ${banner.number} ${banner.channel}: ${change.changeMs} ms`)
  }
  await step('Summary', async () => {
    await measure('channel_change_mean', Math.round(times.reduce((sum, time) => sum + time, 0) / times.length), 'ms')
    await measure('channel_change_longest', Math.max(...times), 'ms')
  })
})
