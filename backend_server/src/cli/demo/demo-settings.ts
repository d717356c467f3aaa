import { randomBytes } from 'node:crypto'
import { accessSync, constants } from 'node:fs'
import path from 'node:path'
import type { Config } from '../../config.ts'

type Environment = NodeJS.ProcessEnv

export interface DemoDevice {
  id: string
  name: string
  kind: string
}

export interface DemoSettings {
  hostName: string
  devices: DemoDevice[]
  serverEnv: Environment
  hostEnv: (serverUrl: string) => Environment
}

const defaultHostName = 'demo-host'
const quietLevels = new Set(['warn', 'error', 'fatal', 'silent'])

/** What the two programs of the demo get: the environment of this command, and defaults for a lab that needs no hardware. */
export function demoSettings(env: Environment, config: Config): DemoSettings {
  const apiKey = env.API_KEY?.trim() || (config.hostRegistration === 'key' ? randomBytes(24).toString('base64url') : undefined)
  const shared: Environment = {
    ...env,
    // The log goes to files, and this command reads in it when the programs are ready.
    ...(quietLevels.has(config.logLevel) && { LOG_LEVEL: 'info' }),
    ...(apiKey !== undefined && { API_KEY: apiKey }),
  }
  const hostName = env.HOST_NAME?.trim() || defaultHostName
  const own = ownDevices(env)
  const browser = env.HOST_MODEL?.trim() ? env.HOST_WEB_BROWSER_PATH : findBrowser(env)
  const box = { DEVICE1_NAME: 'Living room box', DEVICE1_MODEL: 'stb', DEVICE1_DRIVER: 'sim' }
  const web = { HOST_MODEL: 'web', ...(browser !== undefined && { HOST_WEB_BROWSER_PATH: browser }) }
  const hasBrowser = browser !== undefined || env.HOST_MODEL?.trim() === 'web'
  return {
    hostName,
    devices: [
      ...(own.length > 0 ? own : [{ id: 'device1', name: box.DEVICE1_NAME, kind: 'simulated set-top box' }]),
      ...(hasBrowser ? [{ id: 'host', name: `${hostName}_Host`, kind: 'browser on this machine' }] : []),
    ],
    serverEnv: shared,
    hostEnv: (serverUrl) => ({
      HOST_PORT: '0',
      ...(own.length === 0 && box),
      ...(hasBrowser && web),
      ...shared,
      SERVER_URL: serverUrl,
      HOST_NAME: hostName,
      DATA_DIR: path.join(config.dataDir, 'host'),
    }),
  }
}

/** Devices somebody has set up already take the place of the simulated one. */
function ownDevices(env: Environment): DemoDevice[] {
  return Array.from({ length: 12 }, (_, index) => index + 1).flatMap((number) => {
    const name = env[`DEVICE${number}_NAME`]?.trim()
    return name ? [{ id: `device${number}`, name, kind: env[`DEVICE${number}_MODEL`]?.trim() ?? '' }] : []
  })
}

const browserNames = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome']

function findBrowser(env: Environment): string | undefined {
  const given = env.HOST_WEB_BROWSER_PATH?.trim()
  if (given) return given
  const folders = [...(env.PATH ?? '').split(path.delimiter), '/usr/bin', '/usr/local/bin', '/snap/bin'].filter(Boolean)
  return folders.flatMap((folder) => browserNames.map((name) => path.join(folder, name))).find(isProgram)
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
