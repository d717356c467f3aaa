import { type DeviceHealthState, type DeviceHolder, deviceRoutes, hostRoutes, scriptRoutes } from '@virtualpytest/shared'
import type { Command } from 'commander'
import { createApiClient } from '../api-client.ts'
import { readCliConfig } from '../config.ts'
import { sayJson, sayTable } from '../terminal.ts'
import { showTime } from '../units.ts'
import { healthStyles } from './check.ts'
import { examples } from './options.ts'

interface DeviceLine {
  host_name: string
  device_id: string
  device_name: string | null
  device_model: string | null
  status: string
  health: DeviceHealthState
  holder: string | null
  since: string | null
  until: string | null
  waiting: number
}

const statusStyles = { available: 'green', leased: 'cyan', offline: 'red', unreachable: 'red', maintenance: 'yellow' } as const

export function addDevicesCommand(program: Command): void {
  program
    .command('devices')
    .summary('list devices, their state and who holds them')
    .description(
      'Lists the devices of all hosts: their state, whether they work, who holds them since when and until when, and how many wait.',
    )
    .option('--json', 'print JSON')
    .addHelpText('after', examples('vpt devices', 'vpt devices --json'))
    .action(async ({ json }: { json?: boolean }) => {
      const api = createApiClient(readCliConfig())
      const [{ hosts }, { devices: holders }] = await Promise.all([
        api.call(hostRoutes.getAllHosts),
        api.call(deviceRoutes.holders),
      ])
      const devices = hosts.flatMap((host) =>
        host.devices.map((device): DeviceLine => {
          const known = holders.find((one) => one.host_name === host.host_name && one.device_id === device.device_id)
          const status = host.status !== 'online' ? host.status : (known?.status ?? (device.isLocked ? 'leased' : 'available'))
          const holder = known?.holder ? holderOf(known.holder) : device.lockedBy
          return {
            host_name: host.host_name,
            device_id: device.device_id,
            device_name: device.device_name,
            device_model: device.device_model,
            status,
            health: known?.health.state ?? 'unknown',
            holder,
            since: known?.holder?.since ?? null,
            until: known?.holder?.until ?? null,
            waiting: known?.waiting.length ?? 0,
          }
        }),
      )
      if (json) sayJson({ success: true, devices })
      else sayTable(devices, columns, 'No host has registered here yet. On the machine beside the devices, start: npm run host')
    })
}

const columns = [
  { title: 'DEVICE', value: (device: DeviceLine) => `${device.host_name}:${device.device_id}` },
  { title: 'NAME', value: (device: DeviceLine) => device.device_name ?? '' },
  { title: 'MODEL', value: (device: DeviceLine) => device.device_model ?? '' },
  {
    title: 'STATUS',
    value: (device: DeviceLine) => device.status,
    style: (device: DeviceLine) => statusStyles[device.status as keyof typeof statusStyles],
  },
  {
    title: 'HEALTH',
    value: (device: DeviceLine) => (device.health === 'unknown' ? '' : device.health),
    style: (device: DeviceLine) => healthStyles[device.health],
  },
  { title: 'SINCE', value: (device: DeviceLine) => timeOf(device.since) },
  { title: 'UNTIL', value: (device: DeviceLine) => timeOf(device.until) },
  { title: 'WAITING', value: (device: DeviceLine) => (device.waiting === 0 ? '' : String(device.waiting)), right: true },
  { title: 'HELD BY', value: (device: DeviceLine) => device.holder ?? '' },
]

const timeOf = (at: string | null): string => (at === null ? '' : showTime(at))

function holderOf({ kind, name, is_you, run }: NonNullable<DeviceHolder['holder']>): string {
  const who = is_you && kind === 'user' ? `${name} (you)` : kind === 'user' ? name : `${name} (${kind})`
  return run ? `${who}, run ${run.id.slice(0, 8)}` : who
}

export function addScriptsCommand(program: Command): void {
  program
    .command('scripts')
    .summary('list the scripts that can be run')
    .description('Lists the scripts that the server and its hosts have.')
    .option('--json', 'print JSON')
    .addHelpText('after', examples('vpt scripts', 'vpt scripts --json'))
    .action(async ({ json }: { json?: boolean }) => {
      const answer = await createApiClient(readCliConfig()).call(scriptRoutes.list)
      if (json) sayJson(answer)
      else
        sayTable(answer.details, scriptColumns, 'There is no script yet. Put one into test_scripts/ of the server or of a host.')
    })
}

const scriptColumns = [
  { title: 'SCRIPT', value: ({ name }: { name: string }) => name },
  { title: 'ON HOSTS', value: ({ hosts }: { hosts: string[] }) => hosts.join(', ') || 'none' },
]
