import type { Command } from 'commander'
import { z } from 'zod'
import { CliError, exitCodes } from '../cli-error.ts'
import { readCliConfig } from '../config.ts'
import { examineServer } from '../doctor/examine-server.ts'
import { Finding } from '../doctor/finding.ts'
import { maintain } from '../maintenance.ts'
import { note, paint, plain, say, sayJson } from '../terminal.ts'
import { examples, wholeNumber } from './options.ts'

const Examined = z.object({ findings: z.array(Finding) })

export function addDoctorCommand(program: Command): void {
  program
    .command('doctor')
    .summary('look what is wrong with a server, and say what helps')
    .description(
      'Looks at the database, the machine, the ports and the running server, and says what helps. It changes nothing.\nThe first part takes the settings of the server from the environment, as the server does; the second talks to VPT_SERVER.\nThe exit code is 1 when something does not work.',
    )
    .option('--timeout <seconds>', 'limit for each answer of the server', wholeNumber(1, 60), 5)
    .option('--json', 'print JSON')
    .addHelpText('after', examples('vpt doctor', 'VPT_SERVER=https://lab.example.org vpt doctor'))
    .action(async ({ timeout, json }: { timeout: number; json?: boolean }) => {
      const config = readCliConfig()
      const [own, remote] = await Promise.all([examineHere(), examineServer({ ...config, timeoutMs: timeout * 1000 })])
      const findings = [...own, ...remote]
      const count = (level: Finding['level']): number => findings.filter((one) => one.level === level).length
      if (count('fail') > 0) process.exitCode = exitCodes.failed
      if (json) {
        sayJson({ success: count('fail') === 0, ok: count('ok'), warnings: count('warn'), failures: count('fail'), findings })
        return
      }
      const width = Math.max(...findings.map((one) => one.name.length))
      show('This machine, with the settings of the environment', own, width)
      say()
      show(`The server at ${config.server}`, remote, width)
      const total = `${count('ok')} ok, ${count('warn')} to look at, ${count('fail')} not working`
      note(`\n${paint(count('fail') > 0 ? 'red' : 'dim', total, process.stderr)}`)
    })
}

function show(title: string, findings: readonly Finding[], width: number): void {
  say(paint('bold', plain(title)))
  for (const one of findings) {
    say(`  ${paint(colors[one.level], one.level.padEnd(4))}  ${plain(one.name).padEnd(width)}  ${plain(one.text)}`)
    if (one.cure !== undefined) say(`${' '.repeat(width + 10)}${paint('bold', '→')} ${plain(one.cure)}`)
  }
}

const colors = { ok: 'green', warn: 'yellow', fail: 'red' } as const

/** Settings that cannot be used are a finding like others. */
async function examineHere(): Promise<Finding[]> {
  try {
    return (await maintain(Examined, { order: { do: 'examine' } })).findings
  } catch (error) {
    if (!(error instanceof CliError)) throw error
    return [
      {
        name: 'settings',
        level: 'fail',
        text: error.message,
        cure: 'Correct them; what each means: docs/settings.md, vpt config check',
      },
    ]
  }
}
