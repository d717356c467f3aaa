import { setTimeout as sleep } from 'node:timers/promises'
import { hostRoutes, verificationRoutes } from '@virtualpytest/shared'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { type Answer, type ApiClient, createApiClient } from '../api-client.ts'
import { CliError, exitCodes } from '../cli-error.ts'
import { readCliConfig } from '../config.ts'
import { targetOf } from '../drive/device-controls.ts'
import { paint, plain, say, sayJson } from '../terminal.ts'
import { type Device, nameOf } from './leases.ts'
import { deviceAddress, examples, wholeNumber } from './options.ts'

const kinds = ['text', 'image', 'element'] as const
type Kind = (typeof kinds)[number]
interface Area {
  x: number
  y: number
  width: number
  height: number
}
interface VerifyOptions {
  gone?: boolean
  timeout: number
  area?: Area
  ui: string
  threshold?: number
  json?: boolean
}
type Status = Answer<typeof verificationRoutes.status>

/** Name of the command without its ending, and the parameter that says what is looked for. */
const checks = {
  text: { command: 'waitForText', parameter: 'text' },
  image: { command: 'waitForImage', parameter: 'image_path' },
  element: { command: 'waitForElement', parameter: 'search_term' },
} as const satisfies Record<Kind, object>
const pollMs = 400
/** Beyond what the check itself may wait: pictures are taken and read. */
const graceMs = 90_000

export function addVerifyCommand(program: Command): void {
  program
    .command('verify')
    .summary('check what a device shows')
    .description(
      'Waits until a text, a saved image or an element is on the screen of a device, or with --gone is not.\nThe exit code is the verdict: 0 passed, 1 failed, 2 error (the lab, not the device).',
    )
    .argument('<host:device>', 'which device, as vpt devices lists it', deviceAddress)
    .argument('<text|image|element>', 'what kind of thing', kindOf)
    .argument('<what>', 'the text, the name of a saved reference, or a text or id of the element')
    .option('--gone', 'passes when it is not there')
    .option('-t, --timeout <seconds>', 'how long to wait for it', wholeNumber(0, 600), 10)
    .option('--area <x,y,width,height>', 'look only there, in pixels of a 1280x720 picture', areaOf)
    .option('--ui <name>', 'user interface whose references are meant', 'default')
    .addOption(new Option('--threshold <percent>', 'least likeness of an image').argParser(wholeNumber(0, 100)))
    .option('--json', 'print the whole result as JSON')
    .addHelpText(
      'after',
      examples(
        'vpt verify demo-host:device1 text "Watch now"',
        'vpt verify demo-host:device1 image home_logo --ui tv --threshold 90',
        'vpt verify demo-host:host element "#login" --gone',
      ),
    )
    .action(async (device: Device, kind: Kind, what: string, options: VerifyOptions) => {
      const api = createApiClient(readCliConfig())
      const status = await verify(api, device, { kind, what, options })
      const verdict = status.outcome === 'running' ? 'error' : status.outcome
      process.exitCode = exitCodes[verdict]
      if (options.json) sayJson(status)
      else say(`${paint(verdict === 'passed' ? 'green' : 'red', verdict)}  ${plain(sentenceOf(status))}`)
    })
}

async function verify(
  api: ApiClient,
  device: Device,
  { kind, what, options }: { kind: Kind; what: string; options: VerifyOptions },
): Promise<Status> {
  const { gone, timeout, area, ui, threshold } = options
  const { command: start, parameter } = checks[kind]
  const command = `${start}To${gone ? 'Disappear' : 'Appear'}`
  const params = {
    [parameter]: what,
    timeout,
    ...(area && { area }),
    ...(threshold !== undefined && { threshold: threshold / 100 }),
  }
  const verification_type = kind === 'element' ? await kindOfElements(api, device, command) : kind
  const verifications = [{ command, verification_type, params, userinterface_name: ui }]
  const { execution_id } = await api.call(verificationRoutes.executeBatch, { body: { ...targetOf(device), verifications } })
  const deadline = Date.now() + timeout * 1000 + graceMs
  for (;;) {
    const status = await api.call(verificationRoutes.status, { params: { execution_id }, query: { host_name: device.host_name } })
    if (status.status !== 'running') return status
    if (Date.now() > deadline)
      throw new CliError('The check did not end in time.', {
        exitCode: exitCodes.error,
        hints: [`Its run: vpt show ${execution_id.slice(0, 8)}`],
      })
    await sleep(pollMs)
  }
}

/** Which of the kinds of this device knows elements: browsers and phones name theirs differently. */
async function kindOfElements(api: ApiClient, device: Device, command: string): Promise<string> {
  const { device_verification_types: offered } = await api.call(hostRoutes.getDeviceActions, { query: device })
  for (const [kind, list] of Object.entries(offered)) {
    if (Array.isArray(list) && list.some((one) => (one as { command?: unknown } | null)?.command === command)) return kind
  }
  throw new CliError(`${nameOf(device)} has no check of elements.`, {
    hints: [`It has checks of: ${Object.keys(offered).join(', ') || 'nothing'}`],
  })
}

function sentenceOf({ result, error, message }: Status): string {
  const results = Array.isArray(result?.results) ? (result.results as ({ message?: unknown } | null)[]) : []
  const found = [results[0]?.message, error, message].find((one) => typeof one === 'string' && one !== '')
  return typeof found === 'string' ? found : ''
}

function kindOf(text: string): Kind {
  const kind = kinds.find((one) => one === text)
  if (!kind) throw new InvalidArgumentError('It must be text, image or element.')
  return kind
}

function areaOf(text: string): Area {
  const [, x, y, width, height] = /^(\d{1,5}),(\d{1,5}),(\d{1,5}),(\d{1,5})$/.exec(text) ?? []
  if (height === undefined) throw new InvalidArgumentError('It must be four whole numbers, such as 100,80,300,120.')
  return { x: Number(x), y: Number(y), width: Number(width), height: Number(height) }
}
