import type { Command } from 'commander'
import { type Config, ConfigError, readConfig, settings } from '../../config.ts'
import { ownEnvironment } from '../config.ts'
import { note, paint, plain, say, sayJson, sayTable } from '../terminal.ts'
import { examples } from './options.ts'

interface Line {
  name: string
  value: string | null
  source: 'environment' | 'default'
}

export function addConfigCommands(program: Command): void {
  const config = program
    .command('config')
    .summary('check the settings of the server')
    .description('Settings of the server, which it takes from the environment.')

  config
    .command('check')
    .description(
      'Reads the settings as the server would. Prints them, or every problem by name; secrets are never shown.\nThe exit code is 1 when the server would not start with them.',
    )
    .option('--json', 'print JSON')
    .addHelpText('after', examples('vpt config check', 'SERVER_PORT=8080 AUTH_MODE=required vpt config check'))
    .action(({ json }: { json?: boolean }) => {
      const env = ownEnvironment()
      try {
        const lines = describe(readConfig(env), env)
        if (json) sayJson({ success: true, problems: [], settings: lines })
        else {
          sayTable(lines, columns, '')
          note(
            paint(
              'dim',
              'The server can start with this. What each setting means: env.example and docs/settings.md',
              process.stderr,
            ),
          )
        }
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error
        process.exitCode = 1
        if (json) sayJson({ success: false, problems: error.problems, settings: [] })
        else {
          say(paint('red', 'The server would not start:'))
          for (const problem of error.problems) say(`  ${plain(problem)}`)
        }
      }
    })
}

const columns = [
  { title: 'SETTING', value: (line: Line) => line.name },
  { title: 'VALUE', value: (line: Line) => line.value ?? '–' },
  {
    title: 'FROM',
    value: (line: Line) => line.source,
    style: (line: Line) => (line.source === 'environment' ? ('cyan' as const) : ('dim' as const)),
  },
]

/** The values the server would really use, derived defaults included. */
function describe(config: Config, env: NodeJS.ProcessEnv): Line[] {
  return Object.entries(settings).map(([key, setting]) => {
    const isSet = Boolean(env[setting.env]?.trim()) || (setting.env === 'SERVER_PORT' && Boolean(env.PORT?.trim()))
    const value: unknown = config[key as keyof Config]
    const source = isSet ? 'environment' : 'default'
    if ('secret' in setting && setting.secret)
      return { name: setting.env, value: value === undefined ? null : 'set, not shown', source }
    if (key === 'production') return { name: setting.env, value: env[setting.env]?.trim() || 'development', source }
    return { name: setting.env, value: showValue(value), source }
  })
}

function showValue(value: unknown): string | null {
  if (value === undefined || value === null) return null
  if (Array.isArray(value)) return value.length === 0 ? null : value.join(', ')
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  // A URL may carry a password; nobody asked to see it.
  return URL.canParse(text) && new URL(text).password ? 'set, not shown' : text
}
