import { callAgent, fetchImage } from './agent-client.ts'
import { runSettings } from './config.ts'
import { CommandError } from './failures.ts'

export type CommandResult = { success: boolean; message: string; [field: string]: unknown }

export type ScreenElement = {
  id: string
  text: string
  className: string
  contentDesc: string
  bounds: { left: number; top: number; right: number; bottom: number }
  clickable: boolean
  enabled: boolean
  focused?: boolean
}

export type Screen = { texts: string[]; elements: ScreenElement[] }

/** The agent ends a command after 120 s; its answer shall come first. */
const commandTimeoutMs = 130_000

/** Gives the answer of the device, also when it is a refusal. */
async function tryCommand(command: string, params: Record<string, unknown> = {}): Promise<CommandResult> {
  return callAgent<CommandResult>('/run/command', { command, params }, commandTimeoutMs)
}

/** Throws when the device did not do it. */
async function command(name: string, params: Record<string, unknown> = {}): Promise<CommandResult> {
  const result = await tryCommand(name, params)
  if (!result.success) throw new CommandError(`${name} was refused: ${result.message}`)
  return result
}

/** How to name an element of a page: one of the three. */
export type ElementName = { text?: string; selector?: string; element_id?: string }

export const device = {
  get id(): string {
    return runSettings().deviceId
  },
  get model(): string {
    return runSettings().deviceModel
  },
  command,
  tryCommand,
  async pressKey(key: string): Promise<void> {
    await command('press_key', { key })
  },
  async navigate(url: string, options: { timeoutMs?: number } = {}): Promise<CommandResult> {
    return command('navigate_to_url', { url, ...(options.timeoutMs ? { timeout: options.timeoutMs } : {}) })
  },
  async click(element: ElementName): Promise<void> {
    await command('click_element', element)
  },
  /** Into the text field of a box, or into the named field of a page. */
  async type(text: string, field: Omit<ElementName, 'text'> = {}): Promise<void> {
    await command('input_text', { ...field, text })
  },
}

/** A picture of the screen, as PNG or JPEG; with a name it is kept with the run. */
export async function screenshot(name?: string): Promise<Buffer> {
  return fetchImage('/run/screenshot', name === undefined ? {} : { name })
}

/** What the device knows of its visible screen. */
export async function screen(): Promise<Screen> {
  return callAgent<Screen>('/run/screen', {})
}

/** Records a figure with the current step. */
export async function measure(name: string, value: number, unit = ''): Promise<void> {
  await callAgent<unknown>('/run/measure', { name, value, unit })
  process.stdout.write(`  ${name} = ${Math.round(value * 1000) / 1000}${unit === '' ? '' : ` ${unit}`}\n`)
}
