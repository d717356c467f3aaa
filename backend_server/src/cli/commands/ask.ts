import { deviceRoutes, leaseRoutes } from '@virtualpytest/shared'
import type { Command } from 'commander'
import { createApiClient } from '../api-client.ts'
import { CliError, exitCodes } from '../cli-error.ts'
import { readCliConfig } from '../config.ts'
import { holdLease } from '../lease/hold-lease.ts'
import { note, plain, say } from '../terminal.ts'
import { showTime } from '../units.ts'
import { type Device, identity, tellHeld } from './leases.ts'
import { deviceAddress, examples } from './options.ts'

export function addAskCommands(program: Command): void {
  program
    .command('ask')
    .summary('ask the holder to give a device back, and wait for it')
    .description(
      'Asks the holder of a device to give it back and waits in the line meanwhile; then holds it like vpt take.\nThe exit code is 1 when the holder says no.',
    )
    .argument('<host:device>', 'which device', deviceAddress)
    .option('-m, --message <text>', 'what the holder reads')
    .option('-w, --wait', 'go on waiting after a no')
    .addHelpText('after', examples('vpt ask demo-host:device1 -m "demo at noon"'))
    .action(async (device: Device, { message, wait }: { message?: string; wait?: boolean }) => {
      const api = createApiClient(readCliConfig())
      const { ask, waiting } = await api.call(deviceRoutes.ask, {
        params: device,
        body: { ...identity(), ...(message !== undefined && { message }) },
      })
      note(`The holder has time to answer until ${showTime(ask.answer_by)}.`)
      process.exitCode = await holdLease(api, {
        leaseId: waiting.lease_id,
        identity: identity(),
        askId: ask.id,
        keepsWaiting: wait ?? false,
        onHeld: () => tellHeld(api, device, true),
      })
    })

  program
    .command('answer')
    .summary('answer somebody who asks for your device')
    .description('Answers the question of somebody who waits for a device that you hold. Yes gives it back to the line.')
    .argument('<ask>', 'id of the question, as vpt take shows it')
    .argument('<yes|no>', 'your answer')
    .option('-m, --message <text>', 'what the other one reads')
    .addHelpText('after', examples('vpt answer 5b0c2c1e-... yes', 'vpt answer 5b0c2c1e-... no -m "ten more minutes"'))
    .action(async (askId: string, answer: string, { message }: { message?: string }) => {
      if (answer !== 'yes' && answer !== 'no') throw new CliError('The answer is yes or no.', { exitCode: exitCodes.refused })
      const { ask } = await createApiClient(readCliConfig()).call(leaseRoutes.answerAsk, {
        params: { ask_id: askId },
        body: { ...identity(), give: answer === 'yes', ...(message !== undefined && { message }) },
      })
      say(ask.status === 'given' ? `Given to the line, as ${plain(ask.asked_by)} asked.` : `${plain(ask.asked_by)} is told no.`)
    })
}
