import { deviceHealthRoutes } from '@virtualpytest/shared'
import type { Command } from 'commander'
import { createApiClient } from '../api-client.ts'
import { readCliConfig } from '../config.ts'
import { note, paint, plain, say } from '../terminal.ts'
import { awaitRun } from '../watch/await-run.ts'
import { liveScreen, quietScreen } from '../watch/listeners.ts'
import { type Device, nameOf } from './leases.ts'
import { deviceAddress, examples, patienceMs } from './options.ts'

export const healthStyles = { unknown: 'dim', good: 'green', suspect: 'yellow', bad: 'red' } as const

export function addCheckCommand(program: Command): void {
  program
    .command('check')
    .summary('check whether a device works')
    .description(
      'Checks a free device: does its host answer, does it give a picture, can its power be read. Nothing is pressed or switched.\nA bad device gets no runs until a check finds it good. The exit code is the verdict: 0 works, 1 does not, 2 the host cannot be asked.',
    )
    .argument('<host:device>', 'which device, as vpt devices lists it', deviceAddress)
    .option('--json', 'print the result as JSON')
    .addHelpText('after', examples('vpt check demo-host:device1', 'vpt check rack-3:device2 --json'))
    .action(async (device: Device, { json }: { json?: boolean }) => {
      const api = createApiClient(readCliConfig())
      const { run_id } = await api.call(deviceHealthRoutes.check, { params: device })
      if (!json)
        note(
          `${paint('bold', 'health check', process.stderr)} of ${plain(nameOf(device))} ${paint('dim', `· run ${run_id}`, process.stderr)}`,
        )
      process.exitCode = await awaitRun(api, run_id, {
        screen: json ? quietScreen() : liveScreen(),
        json: json ? 'object' : 'none',
        withLog: false,
        patienceMs,
        ownsRun: true,
      })
      if (json) return
      const { health } = await api.call(deviceHealthRoutes.read, { params: device, query: { limit: 1 } })
      const more = { good: '', unknown: '', suspect: '; it is checked again soon', bad: '; it gets no runs' }[health.state]
      say(`  ${plain(nameOf(device))} is ${paint(healthStyles[health.state], health.state)}${more}`)
    })
}
