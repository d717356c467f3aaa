/** Walks through the menu of a set-top box and checks by text that each entry leads where it says. */
import assert from 'node:assert/strict'
import {
  device,
  params,
  run,
  type Screen,
  screen,
  screenshot,
  step,
  waitForScreen,
  waitForText,
  waitForTextToDisappear,
} from '@virtualpytest/backend-host/sdk'

export const _script_args = ['--timeout-ms:int:5000', '--search:str:ocean'] as const

const args = params(_script_args)
const wait = { timeoutMs: args['timeout-ms'] }

/** Entries of the menu, and a text that only their screen has. */
const places = [
  { entry: 'Live TV', sign: 'Next:' },
  { entry: 'Channels', sign: 'Watching' },
  { entry: 'Apps', sign: 'Your apps' },
  { entry: 'Search', sign: 'Type with the arrows' },
  { entry: 'Settings', sign: 'Picture format' },
  { entry: 'Home', sign: 'Watch now' },
]

async function goHome(): Promise<void> {
  await device.command('power_on')
  await device.pressKey('HOME')
  // A box that was off needs some seconds to start.
  await waitForText('Watch now', { timeoutMs: args['timeout-ms'] + 10_000 })
}

async function focusedText(): Promise<string> {
  const { elements } = await screen()
  return elements.find((element) => element.focused)?.text ?? ''
}

const pictureFormats = ['16:9', 'Automatic', 'Zoom']

/** The picture format that the settings show, once it is another than `before`. */
async function waitForFormat(before: string | null): Promise<string> {
  const find = ({ texts }: Screen) => texts.find((text) => pictureFormats.includes(text) && text !== before) ?? null
  return waitForScreen(before === null ? 'A picture format' : `Another picture format than ${before}`, find, wait)
}

/** Down to the entry, looking at each press where the focus is, as a person would. */
async function chooseInMenu(entry: string): Promise<void> {
  await device.pressKey('MENU')
  await waitForText('OK to choose', wait)
  for (let presses = 0; presses < 12; presses += 1) {
    if ((await focusedText()) === entry) break
    await device.pressKey('DOWN')
  }
  assert.equal(await focusedText(), entry, `The menu has no entry ${entry}`)
  await screenshot(`menu-${entry.toLowerCase().replace(' ', '-')}`)
  await device.pressKey('OK')
}

await run(async () => {
  await step('Go home', goHome)
  for (const { entry, sign } of places) {
    await step(`Open ${entry} from the menu`, async () => {
      await chooseInMenu(entry)
      await waitForText(sign, wait)
      await waitForTextToDisappear('OK to choose', wait)
    })
  }
  await step(`Search for ${args.search}`, async () => {
    await chooseInMenu('Search')
    await waitForText('Type with the arrows', wait)
    await device.type(args.search)
    const field = await waitForText(args.search, wait)
    assert.equal(field.toLowerCase(), args.search.toLowerCase())
    await waitForTextToDisappear('Nothing found', wait)
  })
  await step('Go through the values of a setting', async () => {
    await chooseInMenu('Settings')
    await device.pressKey('DOWN')
    const before = await waitForFormat(null)
    for (let presses = 0; presses < pictureFormats.length; presses += 1) {
      const shown = await waitForFormat(null)
      await device.pressKey('OK')
      await waitForFormat(shown)
    }
    assert.equal(await waitForFormat(null), before, 'The setting does not come back to its first value')
  })
  await step('Back home', goHome)
})
