#!/usr/bin/env node
import { Command, CommanderError } from 'commander'
import { CliError, exitCodes } from './cli-error.ts'
import { addHostAddCommand, addTeamCommands, addTokenCommands } from './commands/admin.ts'
import { addAskCommands } from './commands/ask.ts'
import { addBackupCommands } from './commands/backup.ts'
import { addCheckCommand } from './commands/check.ts'
import { addConfigCommands } from './commands/config-check.ts'
import { addDemoCommand } from './commands/demo.ts'
import { addDevicesCommand, addScriptsCommand } from './commands/devices.ts'
import { addDoctorCommand } from './commands/doctor.ts'
import { addDriveCommands } from './commands/drive.ts'
import { addHostsCommand } from './commands/hosts.ts'
import { addLeaseCommands } from './commands/leases.ts'
import { addHostCommand, addServerCommand } from './commands/programs.ts'
import { addRunCommand } from './commands/run.ts'
import { addLogCommand, addRunsCommands } from './commands/runs.ts'
import { addScreenshotCommand } from './commands/screenshot.ts'
import { addProgramsCommand } from './commands/server-programs.ts'
import { addVerifyCommand } from './commands/verify.ts'
import { addWhoCommand } from './commands/who.ts'
import { readVersion } from './config.ts'
import { note, paint, plain, sayJson } from './terminal.ts'

const program = new Command('vpt')
  .description('The command of a VirtualPyTest lab: run scripts on devices, see what is going on, start its programs.')
  .version(readVersion(), '-V, --version')
  .showHelpAfterError('(more: add --help)')
  .configureHelp({ showGlobalOptions: false })
  .exitOverride()
  .addHelpText(
    'after',
    [
      '',
      'In a checkout, write npm run -s vpt -- COMMAND instead of vpt COMMAND.',
      '',
      'The server it talks to:',
      '  VPT_SERVER   URL of the server (default http://127.0.0.1:10000)',
      '  VPT_TOKEN    API token, where the server asks for one',
      '  VPT_TEAM     id of the team to act for, where the server asks for no token',
      '',
      'Exit codes: 0 passed or done, 1 failed, 2 error of the lab, 3 cancelled, 4 refused, not reachable or wrong arguments.',
    ].join('\n'),
  )

addRunCommand(program)
addRunsCommands(program)
addLogCommand(program)
addDevicesCommand(program)
addWhoCommand(program)
addLeaseCommands(program)
addAskCommands(program)
addDriveCommands(program)
addScreenshotCommand(program)
addVerifyCommand(program)
addCheckCommand(program)
addHostsCommand(program)
addScriptsCommand(program)
addDemoCommand(program)
addServerCommand(program)
addHostAddCommand(addHostCommand(program))
addTokenCommands(program)
addTeamCommands(program)
addConfigCommands(program)
addProgramsCommand(program)
addDoctorCommand(program)
addBackupCommands(program)

// A reader that has seen enough (head, less) closes the pipe.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))

try {
  await program.parseAsync(process.argv)
} catch (error) {
  process.exitCode = explain(error)
}

function explain(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : exitCodes.refused
  if (!(error instanceof CliError)) throw error
  const { answer, status } = error
  const facts = [answer?.code, status ? String(status) : undefined, answer && `request ${answer.request_id}`]
    .filter(Boolean)
    .join(', ')
  note(
    `${paint('red', 'vpt:', process.stderr)} ${plain(error.message)}${facts && paint('dim', ` (${plain(facts)})`, process.stderr)}`,
  )
  for (const hint of error.hints) note(`  ${plain(hint)}`)
  if (process.argv.includes('--json'))
    sayJson(
      answer ?? {
        success: false,
        error: error.message,
        message: error.message,
        code: status === 0 ? 'server_unreachable' : 'cli_error',
      },
    )
  return error.exitCode
}
