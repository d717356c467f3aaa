import type { Command } from 'commander'
import { ownEnvironment } from '../config.ts'
import { type ProgramName, spawnProgram } from '../programs.ts'
import { examples } from './options.ts'

export function addServerCommand(program: Command): void {
  program
    .command('server')
    .summary('start the server alone')
    .description(
      'Starts the server in the foreground. It takes its settings from the environment, see env.example.\nWithout DATABASE_URL it starts a database of its own below DATA_DIR.',
    )
    .addHelpText('after', examples('vpt server', 'SERVER_PORT=8080 DATABASE_URL=postgres://... vpt server'))
    .action(() => become('server'))
}

export function addHostCommand(program: Command): Command {
  return program
    .command('host')
    .summary('start a host agent on a lab machine, or make a host known')
    .description('Starts the host agent in the foreground. It takes its settings from the environment, see env.example.')
    .addHelpText(
      'after',
      examples(
        'SERVER_URL=https://lab.example.org HOST_NAME=rack-3 DEVICE1_NAME=Box DEVICE1_MODEL=stb DEVICE1_DRIVER=sim vpt host',
        'vpt host add rack-3',
      ),
    )
    .action(() => become('host'))
}

/** Runs the program as if it had been started itself: same terminal, same signals, same end. */
async function become(name: ProgramName): Promise<void> {
  const child = spawnProgram(name, { stdio: 'inherit', env: ownEnvironment() })
  // A terminal sends its interrupt to the whole group: passed on, the program would get it twice and end at once.
  const forward = (signal: NodeJS.Signals): void => {
    if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal)
  }
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  for (const signal of signals) process.on(signal, forward)
  const status = await new Promise<number>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code) => resolve(code ?? 1))
  })
  for (const signal of signals) process.off(signal, forward)
  process.exitCode = status
}
