import { hostname, userInfo } from 'node:os'
import { controlRoutes, deviceRoutes, leaseRoutes } from '@virtualpytest/shared'
import { type Command, Option } from 'commander'
import { type ApiClient, createApiClient } from '../api-client.ts'
import { CliError } from '../cli-error.ts'
import { readCliConfig } from '../config.ts'
import { holdLease } from '../lease/hold-lease.ts'
import { note, paint, plain, say, sayJson } from '../terminal.ts'
import { showTime } from '../units.ts'
import { deviceAddress, examples, wholeNumber } from './options.ts'

export type Device = ReturnType<typeof deviceAddress>
interface TakeOptions {
  wait?: boolean
  purpose?: string
  priority?: number
  detach?: boolean
  json?: boolean
}

/** Names the person where login is off; a token says it better and wins on the server. */
export const identity = () => ({ user_id: `${userInfo().username}@${hostname()}` })
export const nameOf = ({ host_name, device_id }: Device): string => `${host_name}:${device_id}`

export function addLeaseCommands(program: Command): void {
  const take = program
    .command('take')
    .summary('take a device and hold it until Ctrl-C')
    .description(
      'Takes a device and holds it while this command runs; Ctrl-C gives it back.\nWith --wait it stands in the line until the device is free.',
    )
    .argument('<host:device>', 'which device, as vpt devices lists it', deviceAddress)
    .option('-w, --wait', 'wait in the line when somebody else has it')
    .option('-d, --detach', 'take it and return; it is free again 5 min after the last call')
  addTakeOptions(take)
    .addHelpText('after', examples('vpt take demo-host:device1 --purpose "menu test"', 'vpt take rack-3:device2 --wait'))
    .action((device: Device, options: TakeOptions) => takeDevice(device, options))

  addTakeOptions(
    program
      .command('wait')
      .summary('wait for a device, then hold it until Ctrl-C')
      .description('Stands in the line of a device and holds it once it is free; the same as vpt take --wait.')
      .argument('<host:device>', 'which device, as vpt devices lists it', deviceAddress),
  )
    .addHelpText('after', examples('vpt wait demo-host:device1', 'vpt wait rack-3:device2 --priority 80'))
    .action((device: Device, options: TakeOptions) => takeDevice(device, { ...options, wait: true }))

  program
    .command('release')
    .summary('give a device back')
    .description('Gives a device back that you hold.')
    .argument('<host:device>', 'which device', deviceAddress)
    .addHelpText('after', examples('vpt release demo-host:device1'))
    .action(async (device: Device) => {
      const answer = await createApiClient(readCliConfig()).call(controlRoutes.releaseControl, {
        body: { ...device, ...identity() },
      })
      if (!answer.success)
        throw new CliError(answer.error ?? answer.message, { hints: [`Who has it: vpt who ${nameOf(device)}`] })
      say(`${plain(nameOf(device))} is given back.`)
    })

  program
    .command('extend')
    .summary('keep a device that you hold for some time, without signs of life')
    .description('Keeps a device that you hold, while nobody else waits for it.')
    .argument('<host:device>', 'which device', deviceAddress)
    .argument('<minutes>', 'how long from now on', wholeNumber(1, 1440))
    .addHelpText('after', examples('vpt extend demo-host:device1 45'))
    .action(async (device: Device, minutes: number) => {
      const api = createApiClient(readCliConfig())
      const { device: found } = await api.call(deviceRoutes.holder, { params: device })
      if (!found.holder)
        throw new CliError(`Nobody holds ${nameOf(device)}.`, { hints: [`Take it first: vpt take ${nameOf(device)}`] })
      const { lease } = await api.call(leaseRoutes.extend, {
        params: { lease_id: found.holder.lease_id },
        body: { ...identity(), seconds: minutes * 60 },
      })
      say(`${plain(nameOf(device))} is yours until ${lease.expires_at === null ? '?' : showTime(lease.expires_at)}.`)
    })
}

const addTakeOptions = (command: Command): Command =>
  command
    .option('-p, --purpose <text>', 'what for; others see it')
    .option('--priority <number>', 'place in the line, 0 to 100 (50)', wholeNumber(0, 100))
    .addOption(new Option('--json', 'print the answer as JSON, with --detach').implies({ detach: true }))

async function takeDevice(device: Device, options: TakeOptions): Promise<void> {
  const api = createApiClient(readCliConfig())
  const answer = await take(api, device, options)
  if (options.detach) {
    if (options.json) sayJson(answer)
    else if ('waiting' in answer)
      say(`${plain(nameOf(device))}: number ${answer.position} in line; the place needs heartbeats within 45 s.`)
    else say(`${plain(nameOf(device))} is yours. Give it back with: vpt release ${nameOf(device)}`)
    return
  }
  const leaseId = 'waiting' in answer ? answer.lease.id : (answer.leases[0]?.lease_id ?? '')
  process.exitCode = await holdLease(api, {
    leaseId,
    identity: identity(),
    onHeld: () => tellHeld(api, device, 'waiting' in answer),
  })
}

const take = (api: ApiClient, device: Device, { wait = false, purpose, priority }: TakeOptions) =>
  api.call(controlRoutes.takeControl, {
    body: {
      ...device,
      ...identity(),
      wait,
      ...(purpose !== undefined && { purpose }),
      ...(priority !== undefined && { priority }),
    },
  })

/** A device that was waited for is not connected yet: its host learns of the holder by takeControl only. */
export async function tellHeld(api: ApiClient, device: Device, hasWaited: boolean): Promise<void> {
  if (hasWaited) await take(api, device, {})
  note(`${paint('green', `${plain(nameOf(device))} is yours.`, process.stderr)} Ctrl-C gives it back.`)
}
