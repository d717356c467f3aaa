import {
  type Clock,
  type CommandResult,
  type CommandSpec,
  type Driver,
  defineCommand,
  definitionsOf,
  executeFrom,
} from '../../drivers/driver.ts'
import { runShell } from './run-shell.ts'

/** The machine of this agent, for commands that run on it and on no device. */
export interface Machine {
  /** What programs get as environment: nothing secret of the agent. */
  env: Readonly<Record<string, string>>
  folder: string
  clock: Clock
}

const timeout = { type: 'number', required: false, default: 30, min: 1, max: 110, description: 'Seconds' } as const

export const shellCommands: readonly CommandSpec<Machine>[] = [
  defineCommand({
    name: 'execute_bash_command',
    label: 'Run shell command',
    description: 'Runs a command in a shell of the host machine',
    offer: { actions: 'desktop', type: 'desktop' },
    params: {
      command: { type: 'string', required: false, default: null, description: 'Command', placeholder: 'uptime' },
      bash_command: { type: 'string', required: false, default: null, description: 'The same, as older clients name it' },
      working_dir: { type: 'string', required: false, default: null, description: 'Folder in which it runs' },
      timeout,
    },
    anyOf: ['command', 'bash_command'],
    input: 'command',
    run: async ({ env, folder }: Machine, values, signal): Promise<CommandResult> => {
      const command = values.command || values.bash_command || ''
      const run = { file: '/bin/bash', args: ['-c', command], cwd: values.working_dir ?? folder, env }
      const done = await runShell({ ...run, timeoutMs: values.timeout * 1000 }, signal)
      const success = done.exitCode === 0 && !done.isTimedOut
      const why = done.isTimedOut ? `The command did not end within ${values.timeout} s` : `Exit code ${done.exitCode}`
      return {
        success,
        message: success ? 'The command ended' : why,
        output: done.output,
        stderr: done.error,
        exit_code: done.exitCode,
        output_data: { output: done.output, exit_code: done.exitCode },
      }
    },
  }),
]

export const executeShell = (machine: Machine, command: string, params: Record<string, unknown>, signal: AbortSignal) =>
  executeFrom(shellCommands, { device: machine, command, params, signal, clock: machine.clock, isLenient: true })

/** A device that is this machine, such as its browser, with the shell of the machine beside its own commands. */
export function withShell(driver: Driver, machine: Machine): Driver {
  const { definitions } = driver
  const capabilities = { ...definitions.device_capabilities, desktop: 'bash' }
  const shell = definitionsOf(shellCommands, capabilities)
  return {
    ...driver,
    definitions: {
      ...definitions,
      device_capabilities: capabilities,
      device_action_types: { ...definitions.device_action_types, ...shell.device_action_types },
    },
    execute: (command, params, signal) =>
      shellCommands.some((one) => one.name === command)
        ? executeShell(machine, command, params, signal)
        : driver.execute(command, params, signal),
  }
}
