import { type DeviceHolder, deviceRoutes } from '@virtualpytest/shared'
import type { Command } from 'commander'
import { createApiClient } from '../api-client.ts'
import { readCliConfig } from '../config.ts'
import { note, paint, plain, say, sayJson } from '../terminal.ts'
import { showTime } from '../units.ts'
import { healthStyles } from './check.ts'
import type { Device } from './leases.ts'
import { deviceAddress, examples } from './options.ts'

export function addWhoCommand(program: Command): void {
  program
    .command('who')
    .summary('who has which device, since when, and who waits')
    .description('Shows who has a device, since when and until when, what for, and who waits for it.')
    .argument('[host:device]', 'one device; all of them when absent', deviceAddress)
    .option('--json', 'print JSON')
    .addHelpText('after', examples('vpt who', 'vpt who demo-host:device1', 'vpt who --json'))
    .action(async (device: Device | undefined, { json }: { json?: boolean }) => {
      const api = createApiClient(readCliConfig())
      const devices = device
        ? [(await api.call(deviceRoutes.holder, { params: device })).device]
        : (await api.call(deviceRoutes.holders)).devices
      if (json) sayJson({ success: true, devices })
      else if (devices.length === 0) note('No host has registered here yet.')
      else for (const one of devices) showHolder(one)
    })
}

function showHolder({ holder, waiting, asks, ...device }: DeviceHolder): void {
  const styles = { available: 'green', leased: 'cyan', offline: 'red', maintenance: 'yellow', retired: 'dim' } as const
  const since = device.status_since === null ? '' : ` since ${showTime(device.status_since)}`
  const why = device.status_reason === null || device.status === 'leased' ? '' : `, ${device.status_reason}`
  say(
    `${paint('bold', plain(`${device.host_name}:${device.device_id}`))}  ${paint(styles[device.status], device.status)}${plain(holder ? '' : since + why)}`,
  )
  const { health } = device
  if (health.state !== 'unknown') {
    const because = health.state === 'good' || health.reason === null ? '' : `: ${health.reason}`
    say(
      `  health    ${paint(healthStyles[health.state], health.state)}${plain(because)}${health.since === null ? '' : ` since ${showTime(health.since)}`}`,
    )
  }
  if (holder) {
    say(`  held by   ${plain(holder.name)} (${holder.kind}${holder.is_you ? ', you' : ''})`)
    say(
      `  since     ${showTime(holder.since)}, until ${showTime(holder.until)}, last activity ${showTime(holder.last_activity_at)}`,
    )
    if (holder.purpose !== null) say(`  purpose   ${plain(holder.purpose)}`)
    if (holder.run) say(`  run       ${holder.run.id.slice(0, 8)} ${plain(holder.run.name)}, ${holder.run.status}`)
  }
  for (const ask of asks)
    say(
      `  asked by  ${plain(ask.asked_by)} until ${showTime(ask.answer_by)}${ask.message === null ? '' : `: ${plain(ask.message)}`}`,
    )
  for (const one of waiting)
    say(
      `  waits ${String(one.position).padStart(2)}  ${plain(one.name)} (${one.kind}) since ${showTime(one.since)}, priority ${one.priority}`,
    )
}
