import { hostRoutes } from '@virtualpytest/shared'
import type { Command } from 'commander'
import { createApiClient } from '../api-client.ts'
import { readCliConfig } from '../config.ts'
import { sayJson, sayTable } from '../terminal.ts'
import { showDuration } from '../units.ts'
import { examples } from './options.ts'

interface HostLine {
  host_name: string
  status: string
  devices: number
  /** When its link was opened, or null. */
  linked_since: string | null
  host_url: string
}

export function addHostsCommand(program: Command): void {
  program
    .command('hosts')
    .summary('list hosts, their state and their links')
    .description('Lists the hosts: their state, and whether the server reaches them over a link or by their URL.')
    .option('--json', 'print JSON')
    .addHelpText('after', examples('vpt hosts', 'vpt hosts --json'))
    .action(async ({ json }: { json?: boolean }) => {
      const answer = await createApiClient(readCliConfig()).call(hostRoutes.getAllHosts)
      const hosts = answer.hosts.map(
        (host): HostLine => ({
          host_name: host.host_name,
          status: host.status,
          devices: host.device_count,
          linked_since: host.link?.since ?? null,
          host_url: host.host_url,
        }),
      )
      if (json) sayJson({ success: true, hosts })
      else sayTable(hosts, columns, 'No host has registered here yet. On the machine beside the devices, start: npm run host')
    })
}

const columns = [
  { title: 'HOST', value: (host: HostLine) => host.host_name },
  { title: 'STATUS', value: (host: HostLine) => host.status },
  { title: 'DEVICES', value: (host: HostLine) => String(host.devices) },
  {
    title: 'LINK',
    value: ({ linked_since }: HostLine) =>
      linked_since === null ? 'no' : `open, for ${showDuration(Date.now() - Date.parse(linked_since))}`,
  },
  { title: 'URL', value: (host: HostLine) => host.host_url },
]
