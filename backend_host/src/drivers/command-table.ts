/**
 * One table of commands per driver. Both the definitions sent at registration and the check of parameters come from it,
 * so a command cannot be advertised without working, and cannot take other parameters than the advertised ones.
 */
import type { Clock, CommandResult, DriverDefinitions } from './driver.ts'

type OutputDefinition = { name: string; type: string; description?: string }

export type ParamDefinition = {
  type: 'string' | 'number' | 'boolean' | 'enum' | 'area'
  required: boolean
  default: unknown
  description?: string
  placeholder?: string
  choices?: readonly string[]
  min?: number
  max?: number
}

export type ActionDefinition = {
  id: string
  label: string
  command: string
  action_type: string
  params: Record<string, unknown>
  description?: string
  requiresInput: boolean
  inputLabel?: string
  inputPlaceholder?: string
  inputParam?: string
  options?: string[]
}

export type VerificationDefinition = {
  command: string
  label?: string
  verification_type: string
  description?: string
  params: Record<string, ParamDefinition>
  outputs?: OutputDefinition[]
}

type ParamSpecs = Record<string, ParamDefinition>
type ParamTypes = { string: string; number: number; boolean: boolean; enum: string; area: Area }
type ParamType<P extends ParamDefinition> = ParamTypes[P['type']]

/** A part of the screen, in pixels of the screenshot. */
export type Area = { x: number; y: number; width: number; height: number }

/** What a command receives: a parameter that is neither required nor has a default may be absent. */
export type ParamValues<P extends ParamSpecs> = {
  [K in keyof P]: P[K]['required'] extends true
    ? ParamType<P[K]>
    : P[K]['default'] extends null
      ? ParamType<P[K]> | null
      : ParamType<P[K]>
}

/** A command offered as several buttons with fixed values, such as one per remote key. */
type Button = { id: string; label: string; params: Record<string, unknown> }

/** Where a command is shown: as actions of a category, as a check of a kind, or nowhere (known, but not advertised). */
type Offer = { actions: string; type: string } | { verification: string } | null

export type CommandSpec<Device> = {
  name: string
  label: string
  description: string
  offer: Offer
  params: ParamSpecs
  anyOf?: readonly string[]
  input?: string
  buttons?: readonly Button[]
  outputs?: OutputDefinition[]
  run(device: Device, values: Record<string, unknown>, signal: AbortSignal): Promise<CommandResult>
}

/** Ties the types of the parameters to the function that receives them; the table itself holds commands of any shape. */
export function defineCommand<Device, const P extends ParamSpecs>(spec: {
  name: string
  label: string
  description: string
  offer: Offer
  params: P
  /** At least one of these must be given. */
  anyOf?: readonly (keyof P & string)[]
  /** The parameter that receives what a person types beside the action. */
  input?: keyof P & string
  buttons?: readonly Button[]
  outputs?: OutputDefinition[]
  run(device: Device, values: ParamValues<P>, signal: AbortSignal): Promise<CommandResult>
}): CommandSpec<Device> {
  return { ...spec, run: (device, values, signal) => spec.run(device, values as ParamValues<P>, signal) }
}

function actionsOf<Device>(command: CommandSpec<Device>, type: string): ActionDefinition[] {
  const base = { command: command.name, action_type: type, description: command.description }
  if (command.buttons) {
    return command.buttons.map((button) => ({
      id: button.id,
      label: button.label,
      ...base,
      params: button.params,
      requiresInput: false,
    }))
  }
  const action: ActionDefinition = { id: command.name, label: command.label, ...base, params: {}, requiresInput: false }
  const input = command.input ? command.params[command.input] : undefined
  if (!command.input || !input) return [action]
  return [
    {
      ...action,
      requiresInput: input.required || command.anyOf !== undefined,
      inputLabel: input.description ?? command.input,
      inputPlaceholder: input.placeholder ?? '',
      inputParam: command.input,
      ...(input.choices ? { options: [...input.choices] } : {}),
    },
  ]
}

export function definitionsOf<Device>(
  commands: readonly CommandSpec<Device>[],
  capabilities: DriverDefinitions['device_capabilities'],
): DriverDefinitions {
  const actions: Record<string, ActionDefinition[]> = {}
  const verifications: Record<string, VerificationDefinition[]> = {}
  for (const command of commands) {
    const { offer } = command
    if (!offer) continue
    if ('actions' in offer) {
      actions[offer.actions] = [...(actions[offer.actions] ?? []), ...actionsOf(command, offer.type)]
      continue
    }
    const definition: VerificationDefinition = {
      command: command.name,
      label: command.label,
      verification_type: offer.verification,
      description: command.description,
      params: command.params,
      ...(command.outputs ? { outputs: command.outputs } : {}),
    }
    verifications[offer.verification] = [...(verifications[offer.verification] ?? []), definition]
  }
  return { device_capabilities: capabilities, device_action_types: actions, device_verification_types: verifications }
}

class BadParameter extends Error {}

/** Scripts and web forms send numbers and booleans as text; both spellings count. */
function parseValue(name: string, spec: ParamDefinition, raw: unknown): unknown {
  if (spec.type === 'number') {
    const value = typeof raw === 'string' && raw.trim() !== '' ? Number(raw) : raw
    if (typeof value !== 'number' || !Number.isFinite(value)) throw new BadParameter(`${name} must be a number`)
    if (spec.min !== undefined && value < spec.min) throw new BadParameter(`${name} must be at least ${spec.min}`)
    if (spec.max !== undefined && value > spec.max) throw new BadParameter(`${name} must be at most ${spec.max}`)
    return value
  }
  if (spec.type === 'boolean') {
    if (raw === true || raw === 'true') return true
    if (raw === false || raw === 'false') return false
    throw new BadParameter(`${name} must be true or false`)
  }
  if (spec.type === 'area') return parseArea(name, raw)
  const text = typeof raw === 'number' ? String(raw) : raw
  if (typeof text !== 'string') throw new BadParameter(`${name} must be a text`)
  if (spec.required && text === '') throw new BadParameter(`${name} must not be empty`)
  if (text.length > maxTextLength) throw new BadParameter(`${name} is longer than ${maxTextLength} characters`)
  if (!spec.choices) return text
  const choice = spec.choices.find((one) => one.toLowerCase() === text.toLowerCase())
  if (choice === undefined) throw new BadParameter(`${name} must be one of ${spec.choices.join(', ')}`)
  return choice
}

const maxTextLength = 100_000

function parseArea(name: string, raw: unknown): Area {
  const given = typeof raw === 'object' && raw !== null ? Object.entries(raw) : []
  const numbers = new Map(
    given.filter((entry): entry is [string, number] => typeof entry[1] === 'number' && Number.isFinite(entry[1])),
  )
  const [x, y, width, height] = ['x', 'y', 'width', 'height'].map((side) => numbers.get(side))
  if (x === undefined || y === undefined || !width || !height || width < 0 || height < 0) {
    throw new BadParameter(`${name} must have x, y, width and height as numbers`)
  }
  return { x, y, width, height }
}

/** `wait_time` belongs to the batch that runs the action, but arrives inside its parameters. */
const batchParams = new Set(['wait_time'])

export function parseParams<Device>(command: CommandSpec<Device>, raw: Record<string, unknown>): Record<string, unknown> {
  for (const name of Object.keys(raw)) {
    if (Object.hasOwn(command.params, name) || batchParams.has(name)) continue
    const known = Object.keys(command.params)
    throw new BadParameter(
      `unknown parameter ${name.slice(0, 80)} (${known.length > 0 ? `known: ${known.join(', ')}` : 'it takes none'})`,
    )
  }
  const values: Record<string, unknown> = {}
  for (const [name, spec] of Object.entries(command.params)) {
    const given = Object.hasOwn(raw, name) ? raw[name] : undefined
    if (given !== undefined && given !== null) values[name] = parseValue(name, spec, given)
    else if (spec.required) throw new BadParameter(`${name} is missing`)
    else values[name] = spec.default
  }
  if (command.anyOf && !command.anyOf.some((name) => typeof values[name] === 'string' && values[name] !== '')) {
    throw new BadParameter(`one of ${command.anyOf.join(', ')} is needed`)
  }
  return values
}

function failure(message: string, started: number, clock: Clock): CommandResult {
  return { success: false, message, error: message, execution_time: Math.round(clock.now() - started) }
}

/**
 * Looks up, checks and runs one command. Whatever goes wrong inside becomes an answer, because on the wire a failed
 * command is HTTP 200 with success false. Only an abort is thrown: then nobody waits for an answer any more.
 */
export async function executeFrom<Device>(
  commands: readonly CommandSpec<Device>[],
  call: { device: Device; command: string; params: Record<string, unknown>; signal: AbortSignal; clock: Clock },
): Promise<CommandResult> {
  call.signal.throwIfAborted()
  const started = call.clock.now()
  const command = commands.find((one) => one.name === call.command)
  if (!command) return failure(`Unknown command ${String(call.command).slice(0, 80)}`, started, call.clock)
  try {
    const result = await command.run(call.device, parseParams(command, call.params ?? {}), call.signal)
    const error = result.success ? null : result.message
    return { ...result, error, execution_time: Math.round(call.clock.now() - started) }
  } catch (cause) {
    call.signal.throwIfAborted()
    const text = cause instanceof Error ? cause.message : String(cause)
    return failure(`${command.name}: ${text}`, started, call.clock)
  }
}
