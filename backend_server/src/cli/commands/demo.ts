import type { Command } from 'commander'
import { ConfigError, readConfig } from '../../config.ts'
import { CliError } from '../cli-error.ts'
import { ownEnvironment } from '../config.ts'
import { startDemoLab } from '../demo/demo-lab.ts'
import { type DemoSettings, demoSettings } from '../demo/demo-settings.ts'
import { onSignals } from '../on-signals.ts'
import { note, paint, plain, say } from '../terminal.ts'
import { showDuration } from '../units.ts'
import { examples } from './options.ts'

const defaultPort = '10000'

export function addDemoCommand(program: Command): void {
  program
    .command('demo')
    .summary('start a whole lab on this machine: server, host, simulated box')
    .description(
      'Starts a whole lab on this machine, as npm start does: the server with a database of its own, and a host agent with a\nsimulated set-top box and, where a Chromium is installed, a browser. Ctrl-C stops it; its data stays in DATA_DIR.',
    )
    .addHelpText(
      'after',
      examples(
        'vpt demo',
        'SERVER_PORT=10001 DATA_DIR=./data2 vpt demo      a second lab beside the first',
        'AUTH_MODE=required vpt demo                      with API tokens',
      ),
    )
    .action(async () => {
      const env = ownEnvironment()
      const config = readConfigOrRefuse(env)
      const settings = demoSettings(env, config)
      note(paint('dim', `Starting the lab … (data in ${config.dataDir})`, process.stderr))
      const lab = startDemoLab({ config, settings, onReady: (ready) => showLab(settings, { ...ready, dataDir: config.dataDir }) })
      const forget = onSignals(['SIGINT', 'SIGTERM', 'SIGHUP'], (count) => {
        if (count === 1) note(paint('dim', '\nStopping the host, then the server …', process.stderr))
        lab.stop()
      })
      const status = await lab.ended
      forget()
      if (status === 0) note(paint('dim', 'Stopped.', process.stderr))
      process.exitCode = status
    })
}

function readConfigOrRefuse(env: NodeJS.ProcessEnv) {
  try {
    return readConfig(env)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    throw new CliError('The lab cannot start with these settings:', { hints: error.problems, exitCode: 1 })
  }
}

interface ReadyLab {
  url: string
  logFolder: string
  dataDir: string
  startedInMs: number
  needsToken: boolean
}

function showLab({ hostName, devices }: DemoSettings, lab: ReadyLab): void {
  const label = (text: string): string => `  ${paint('dim', text.padEnd(15))}`
  const port = new URL(lab.url).port
  const environment = [...(port === defaultPort ? [] : [`VPT_SERVER=${lab.url}`]), ...(lab.needsToken ? ['VPT_TOKEN=...'] : [])]
  const command = [
    ...environment,
    'npm run -s vpt -- run zapping.ts',
    `--device ${hostName}:${devices[0]?.id ?? 'device1'} --watch`,
  ].join(' ')
  say()
  say(`${paint('green', '✓')} ${paint('bold', 'The lab is ready')} ${paint('dim', `after ${showDuration(lab.startedInMs)}`)}`)
  say()
  say(`${label('Server')}${paint('bold', lab.url)}`)
  say(`${label('Health')}${lab.url}/health`)
  say(`${label('API reference')}${lab.url}/server/docs`)
  for (const [index, device] of devices.entries()) {
    const address = plain(`${hostName}:${device.id}`)
    say(`${label(index === 0 ? 'Devices' : '')}${address.padEnd(20)} ${paint('dim', plain(`${device.name}, ${device.kind}`))}`)
  }
  say(`${label('Logs')}${lab.logFolder}`)
  say()
  say(
    `Now run a first test, in another terminal:${lab.needsToken ? paint('dim', ' (with the token from above, or one of your own)') : ''}`,
  )
  say()
  say(`  ${paint('cyan', command)}`)
  say()
  say(paint('dim', 'Ctrl-C stops the lab.'))
}
