import { hostRoutes, type Lease, leaseRoutes, scriptRoutes } from '@virtualpytest/shared'
import type { Command } from 'commander'
import { createApiClient } from '../api-client.ts'
import { readCliConfig } from '../config.ts'
import { sayJson, sayTable } from '../terminal.ts'
import { showDuration } from '../units.ts'
import { examples } from './options.ts'

interface DeviceLine {
  host_name: string
  device_id: string
  device_name: string | null
  device_model: string | null
  status: string
  holder: string | null
}

const statusStyles = { available: 'green', leased: 'cyan', offline: 'red', unreachable: 'red' } as const

export function addDevicesCommand(program: Command): void {
  program
    .command('devices')
    .summary('list devices, their state and who holds them')
    .description('Lists the devices of all hosts: their state, and who holds them since when.')
    .option('--json', 'print JSON')
    .addHelpText('after', examples('vpt devices', 'vpt devices --json'))
    .action(async ({ json }: { json?: boolean }) => {
      const api = createApiClient(readCliConfig())
      const [{ hosts }, { leases }] = await Promise.all([
        api.call(hostRoutes.getAllHosts),
        api.call(leaseRoutes.list, { query: { limit: 500 } }),
      ])
      const devices = hosts.flatMap((host) =>
        host.devices.map((device): DeviceLine => {
          const lease = leases.find((one) => one.host_name === host.host_name && one.device_id === device.device_id)
          const status = host.status !== 'online' ? host.status : lease || device.isLocked ? 'leased' : 'available'
          const holder = lease ? holderOf(lease) : device.lockedBy
          return {
            host_name: host.host_name,
            device_id: device.device_id,
            device_name: device.device_name,
            device_model: device.device_model,
            status,
            holder,
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
  { title: 'HELD BY', value: (device: DeviceLine) => device.holder ?? '' },
]

function holderOf(lease: Lease): string {
  const who = lease.holder_kind === 'run' ? `run ${lease.holder.slice(0, 8)}` : `${lease.holder} (${lease.holder_kind})`
  const since = lease.granted_at === null ? '' : `, for ${showDuration(Date.now() - Date.parse(lease.granted_at))}`
  return `${who}${since}`
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
