import { powerRoutes, remoteRoutes, webRoutes } from '@virtualpytest/shared'
import type { Command } from 'commander'
import { type ApiClient, createApiClient } from '../api-client.ts'
import { CliError } from '../cli-error.ts'
import { readCliConfig } from '../config.ts'
import { isBrowser, mustSucceed, sendCommand, targetOf } from '../drive/device-controls.ts'
import { plain, say } from '../terminal.ts'
import type { Device } from './leases.ts'
import { deviceAddress, examples, wholeNumber } from './options.ts'

/** One call each to a device that is free or that the caller has taken. */
export function addDriveCommands(program: Command): void {
  const drive = (name: string, summary: string, description: string): Command =>
    program
      .command(name)
      .summary(summary)
      .description(`${description}\nSomebody else's device is refused; take it first: vpt take DEVICE --detach`)
      .argument('<host:device>', 'which device, as vpt devices lists it', deviceAddress)

  drive('press', 'press keys of a device', 'Presses keys one after another: of the remote, or of the keyboard of a browser.')
    .argument('<key...>', 'names of keys, such as OK, HOME or UP')
    .addHelpText('after', examples('vpt press demo-host:device1 HOME', 'vpt press demo-host:device1 DOWN DOWN OK'))
    .action(async (device: Device, keys: string[]) => {
      const api = connect()
      const browser = await isBrowser(api, device)
      for (const key of keys)
        tell(await sendCommand(api, device, { command: 'press_key', params: { key: key.toUpperCase() }, browser }))
    })

  drive(
    'type',
    'type a text on a device',
    'Types a text into the field that has the focus; in a browser into the one named by --into.',
  )
    .argument('<text>', 'what to type')
    .option('--into <selector>', 'CSS selector of the field, in a browser')
    .addHelpText('after', examples('vpt type demo-host:device1 ocean', 'vpt type demo-host:host Ada --into "#name"'))
    .action(async (device: Device, text: string, { into }: { into?: string }) => {
      const api = connect()
      const browser = await isBrowser(api, device)
      if (browser && into === undefined) throw new CliError('In a browser --into must say which field.')
      const params = { text, ...(browser && { selector: into }) }
      tell(await sendCommand(api, device, { command: 'input_text', params, browser }))
    })

  drive('tap', 'tap a point of the screen', 'Taps a point of the screen, or clicks it in a browser.')
    .argument('<x>', 'pixels from the left', wholeNumber(0, 10_000))
    .argument('<y>', 'pixels from the top', wholeNumber(0, 10_000))
    .addHelpText('after', examples('vpt tap rack-3:device2 640 360'))
    .action(async (device: Device, x: number, y: number) => {
      const api = connect()
      if (await isBrowser(api, device))
        tell(await sendCommand(api, device, { command: 'tap_x_y', params: { x, y }, browser: true }))
      else tell(mustSucceed(await api.call(remoteRoutes.tapCoordinates, { body: { ...targetOf(device), x, y } })))
    })

  drive('launch', 'open an app on a device', 'Opens an app, named by its package or its label.')
    .argument('<app>', 'package or name of the app')
    .addHelpText('after', examples('vpt launch demo-host:device1 demo.streamly'))
    .action(async (device: Device, app: string) =>
      tell(await sendCommand(connect(), device, { command: 'launch_app', params: { package: app }, browser: false })),
    )

  drive('open', 'open a page in a browser', 'Opens an address in a device that is a browser.')
    .argument('<url>', 'address of the page')
    .addHelpText('after', examples('vpt open demo-host:host https://example.org'))
    .action(async (device: Device, url: string) =>
      tell(mustSucceed(await connect().call(webRoutes.navigateToUrl, { body: { ...targetOf(device), url } }))),
    )

  drive('power', 'switch the power of a device, or ask for it', 'Switches the power of a device, or says how it is.')
    .argument('<on|off|reboot|status>', 'what to do')
    .addHelpText('after', examples('vpt power demo-host:device1 status', 'vpt power demo-host:device1 reboot'))
    .action(async (device: Device, what: string) => {
      const commands = { on: 'power_on', off: 'power_off', reboot: 'reboot' } as const
      const api = connect()
      if (what === 'status') {
        const answer = await api.call(powerRoutes.getStatus, { body: targetOf(device) })
        mustSucceed(answer)
        tell(String(answer.status))
      } else if (Object.hasOwn(commands, what)) {
        const command = commands[what as keyof typeof commands]
        tell(mustSucceed(await api.call(powerRoutes.executeCommand, { body: { ...targetOf(device), command } })))
      } else throw new CliError('It must be on, off, reboot or status.')
    })
}

const connect = (): ApiClient => createApiClient(readCliConfig())
const tell = (text: string): void => say(plain(text))
