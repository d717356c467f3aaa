import { type Program, programRoutes } from '@virtualpytest/shared'
import type { Command } from 'commander'
import { createApiClient } from '../api-client.ts'
import { readCliConfig } from '../config.ts'
import { note, paint, plain, say, sayJson, sayTable } from '../terminal.ts'
import { showDuration } from '../units.ts'
import { examples, wholeNumber } from './options.ts'

const stateStyles: Partial<Record<Program['state'], 'green' | 'red'>> = {
  RUNNING: 'green',
  BACKOFF: 'red',
  EXITED: 'red',
  FATAL: 'red',
}

export function addProgramsCommand(program: Command): void {
  program
    .command('programs')
    .summary('list the programs of the server, their memory and their logs')
    .description(
      'Lists the programs of the server as supervisorctl status shows them, for servers without a shell.\nNeeds an administrator of the default team.',
    )
    .option('-n, --lines <number>', 'also the last lines of each log', wholeNumber(0, 200), 0)
    .option('--json', 'print JSON')
    .addHelpText('after', examples('vpt programs', 'vpt programs --lines 50'))
    .action(async ({ lines, json }: { lines: number; json?: boolean }) => {
      const answer = await createApiClient(readCliConfig()).call(programRoutes.list, { query: { lines } })
      if (json) return sayJson(answer)
      sayTable(answer.programs, columns, 'The server names no program.')
      if (!answer.supervised)
        note('This server runs without the container: nobody restarts it from here, and its log is not kept.')
      for (const { name, log } of lines > 0 ? answer.programs : []) {
        say()
        say(paint('bold', plain(name)))
        for (const line of log) say(plain(line))
      }
    })
}

const columns = [
  { title: 'PROGRAM', value: ({ name }: Program) => name },
  { title: 'STATE', value: ({ state }: Program) => state, style: ({ state }: Program) => stateStyles[state] },
  { title: 'PID', value: ({ pid }: Program) => (pid === null ? '' : String(pid)), right: true },
  {
    title: 'UPTIME',
    value: ({ uptime_seconds: seconds }: Program) => (seconds === null ? '' : showDuration(seconds * 1000)),
    right: true,
  },
  { title: 'RESTARTS', value: ({ restarts }: Program) => String(restarts), right: true },
  {
    title: 'MEMORY',
    value: ({ memory_bytes: bytes }: Program) => (bytes === null ? '' : `${Math.round(bytes / 2 ** 20)} MB`),
    right: true,
  },
  { title: 'LAST EXIT', value: ({ exit_status: status }: Program) => (status === null ? '' : String(status)), right: true },
]
