import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { hostname } from 'node:os'
import path from 'node:path'
import { HostName } from '@virtualpytest/shared'
import {
  asKey,
  asOneOf,
  asPort,
  asText,
  ConfigError,
  type Environment,
  readSettings,
  setting,
} from '@virtualpytest/shared/settings'

export { ConfigError } from '@virtualpytest/shared/settings'

/** Without trailing slash, so that paths can be appended. */
const asBaseUrl = (text: string): string => {
  const url = new URL(text)
  if (!['http:', 'https:'].includes(url.protocol) || url.search || url.hash) throw new Error('url')
  return text.replace(/\/+$/, '')
}
const asFolder = (text: string): string => path.resolve(text)
const asAddress = (text: string): string => {
  if (isIP(text) === 0 && !/^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$/.test(text)) throw new Error('address')
  return text
}

/** Every setting of the agent in one table; devices have their own table below, once per number. */
export const settings = {
  serverUrl: setting({
    env: 'SERVER_URL',
    required: true,
    parse: asBaseUrl,
    says: 'the http or https URL of the server',
    doc: 'URL of the server this agent registers at. It is used as given.',
  }),
  hostName: setting({
    env: 'HOST_NAME',
    required: true,
    parse: (text) => HostName.parse(text),
    says: 'a name without control characters or / \\ ? # %',
    doc: 'Name of this host, unique on its server.',
  }),
  hostPort: setting({
    env: 'HOST_PORT',
    fallback: '6109',
    parse: asPort,
    says: 'a port number',
    doc: 'Port the agent listens on. `0` takes a free one.',
  }),
  hostListen: setting({
    env: 'HOST_LISTEN',
    fallback: '127.0.0.1',
    parse: asText,
    says: 'an address',
    doc: 'Address the agent listens on. 0.0.0.0 when the server runs on another machine.',
  }),
  link: setting({
    env: 'LINK',
    fallback: 'auto',
    parse: asOneOf('auto', 'on', 'off'),
    says: 'auto, on or off',
    doc: 'Whether the agent dials out to the server, which then calls it over this link. `auto`: it does, and the server may also call its URL. `on`: the link is the only way, for hosts whose port nobody reaches. `off`: no link.',
  }),
  hostUrl: setting({
    env: 'HOST_URL',
    parse: asBaseUrl,
    says: 'an http or https URL',
    doc: 'URL of this host for browsers. Default: the address and port it listens on.',
  }),
  hostApiUrl: setting({
    env: 'HOST_API_URL',
    parse: asBaseUrl,
    says: 'an http or https URL',
    doc: 'URL of this host for calls of the server. Default: HOST_URL.',
  }),
  apiKey: setting({
    env: 'API_KEY',
    parse: asKey,
    says: 'at least 16 characters',
    doc: 'Key shared with the server; needed where the server has HOST_REGISTRATION=key.',
    secret: true,
  }),
  dataDir: setting({
    env: 'DATA_DIR',
    fallback: './data/host',
    parse: asFolder,
    says: 'a folder',
    doc: 'Folder for what must survive a restart of the agent: results not yet delivered, highest lease tokens.',
  }),
  scriptsDir: setting({
    env: 'TEST_SCRIPTS_DIR',
    fallback: path.resolve(import.meta.dirname, '../../test_scripts'),
    parse: asFolder,
    says: 'a folder',
    doc: 'Folder of the scripts this host can run. Default: test_scripts of this checkout.',
  }),
  hostModel: setting({
    env: 'HOST_MODEL',
    parse: asOneOf('web'),
    says: 'web',
    doc: '`web` offers a browser on this machine as the device `host`.',
  }),
  browserPath: setting({
    env: 'HOST_WEB_BROWSER_PATH',
    parse: asText,
    says: 'the path of a Chromium',
    doc: 'Browser program of the device `host`.',
  }),
  shell: setting({
    env: 'HOST_SHELL',
    fallback: 'off',
    parse: asOneOf('on', 'off'),
    says: 'on or off',
    doc: 'Whether administrators may run shell commands and Python code on this machine. The server must allow it for this host too.',
  }),
  logLevel: setting({
    env: 'LOG_LEVEL',
    fallback: 'info',
    parse: asOneOf('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'),
    says: 'fatal, error, warn, info, debug, trace or silent',
    doc: 'Least level of log lines.',
  }),
} as const

/** Settings of one device; the real names begin with DEVICE1_ to DEVICE12_. */
export const deviceSettings = {
  name: setting({
    env: 'NAME',
    required: true,
    parse: asText,
    says: 'a name',
    doc: 'Name of the device; a device exists when it has one.',
  }),
  model: setting({
    env: 'MODEL',
    required: true,
    parse: asOneOf('stb', 'web', 'android_mobile', 'android_tv', 'fire_tv', 'ios_mobile', 'apple_tv', 'tizen', 'host_vnc'),
    says: 'a device model such as stb or web',
    doc: 'Model of the device.',
  }),
  driver: setting({
    env: 'DRIVER',
    parse: asOneOf('sim', 'web', 'android'),
    says: 'sim, web or android',
    doc: 'What drives the device: `sim` simulates a set-top box. Default for the model web: web; for android_mobile and android_tv: android.',
  }),
  ip: setting({
    env: 'IP',
    parse: asAddress,
    says: 'an address such as 192.168.1.50, or a name',
    doc: 'Address of the device. Required for the driver android.',
  }),
  port: setting({
    env: 'PORT',
    parse: (text) => String(asPort(text)),
    says: 'a port number',
    doc: 'Port of the device. Default for the driver android: 5555, the port of ADB.',
  }),
  irType: setting({ env: 'IR_TYPE', parse: asText, says: 'a remote type', doc: 'Type of an infrared remote.' }),
  streamPath: setting({
    env: 'VIDEO_STREAM_PATH',
    parse: (text) => {
      if (!/^\/host\/stream\/[A-Za-z0-9_-]+$/.test(text)) throw new Error('path')
      return text
    },
    says: 'a path such as /host/stream/capture1',
    doc: 'URL path of the live picture.',
  }),
} as const

const adbPort = '5555'
const deviceNumbers = Array.from({ length: 12 }, (_, index) => index + 1)

export type DriverKind = 'sim' | 'web' | 'android'
export interface DeviceConfig {
  deviceId: string
  name: string
  model: string
  driver: DriverKind
  ip: string | undefined
  port: string | undefined
  irType: string | undefined
  streamPath: string | undefined
  browserPath: string | undefined
}

export interface Config {
  serverUrl: string
  hostName: string
  hostPort: number
  hostListen: string
  link: 'auto' | 'on' | 'off'
  hostUrl: string | undefined
  hostApiUrl: string | undefined
  apiKey: string | undefined
  dataDir: string
  scriptsDir: string
  shell: 'on' | 'off'
  logLevel: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent'
  devices: readonly DeviceConfig[]
  /** What scripts inherit of the agent's environment. */
  scriptEnv: Readonly<Record<string, string>>
  version: string
}

/** Reads and checks the whole environment. Throws ConfigError with every problem found. */
export function readConfig(env: Environment): Config {
  const problems: string[] = []
  const values = readSettings(settings, env, problems)
  const devices = deviceNumbers.flatMap((number) => readDevice(env, number, problems))
  if (values.hostModel === 'web') devices.unshift(webDevice(`${values.hostName ?? hostname()}_Host`, values.browserPath))
  if (problems.length > 0) throw new ConfigError(problems)
  const { hostModel: _model, browserPath: _path, ...rest } = values
  return Object.freeze({
    ...rest,
    devices: Object.freeze(devices),
    scriptEnv: inheritedByScripts(env),
    version: productVersion(),
  })
}

function readDevice(env: Environment, number: number, problems: string[]): DeviceConfig[] {
  const prefix = `DEVICE${number}_`
  if (!env[`${prefix}NAME`]?.trim()) {
    if (env[`${prefix}MODEL`]?.trim()) problems.push(`${prefix}NAME must be set where ${prefix}MODEL is`)
    return []
  }
  const known = problems.length
  const values = readSettings(deviceSettings, env, problems, (name) => prefix + name)
  if (problems.length > known) return []
  const isAndroid = values.model === 'android_mobile' || values.model === 'android_tv'
  const driver = values.driver ?? (values.model === 'web' ? 'web' : isAndroid ? 'android' : undefined)
  if (driver === undefined) {
    problems.push(`${prefix}DRIVER must be set to ${deviceSettings.driver.says}`)
    return []
  }
  if (driver === 'android') {
    if (!isAndroid) problems.push(`${prefix}MODEL must be android_mobile or android_tv where ${prefix}DRIVER is android`)
    if (values.ip === undefined) problems.push(`${prefix}IP must be set to the address of the Android device`)
    if (problems.length > known) return []
    values.port ??= adbPort
  }
  return [
    {
      ...values,
      driver,
      deviceId: `device${number}`,
      browserPath: env.HOST_WEB_BROWSER_PATH?.trim() || undefined,
    },
  ]
}

const webDevice = (name: string, browserPath: string | undefined): DeviceConfig => ({
  deviceId: 'host',
  name,
  model: 'web',
  driver: 'web',
  ip: undefined,
  port: undefined,
  irType: undefined,
  streamPath: undefined,
  browserPath,
})

/**
 * A test script is other people's code: it gets the environment it needs to find programs and displays, but no
 * credential of the agent, and nothing that would change how its own interpreter runs.
 */
function inheritedByScripts(env: Environment): Record<string, string> {
  const withheld =
    /KEY|SECRET|TOKEN|PASSW|PWD|CREDENTIAL|DATABASE_URL|^NODE_(OPTIONS|TEST_CONTEXT|CHANNEL_FD|V8_COVERAGE)|^VPT_|^npm_/i
  const kept = Object.entries(env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && !withheld.test(entry[0]),
  )
  return Object.fromEntries(kept)
}

function productVersion(): string {
  const manifest = readFileSync(path.resolve(import.meta.dirname, '../package.json'), 'utf8')
  return (JSON.parse(manifest) as { version: string }).version
}
