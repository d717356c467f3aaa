/**
 * One table of commands per driver. Both the definitions sent at registration and the check of parameters come from it,
 * so a command cannot be advertised without working, and cannot take other parameters than the advertised ones.
 */
import { type ParamDefinition, type ParamSpecs, type ParamType, parseParams } from './command-params.ts'
import type { Clock, CommandResult, DriverDefinitions } from './driver.ts'

type OutputDefinition = { name: string; type: string; description?: string }

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
  onlyAsks?: true
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
  /** It looks how the device is, and is carried out without opening it. */
  onlyAsks?: true
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
  // Fixed values a client can edit, such as x and y: what has no field of its own must not be missing.
  const fixed = Object.entries(command.params).filter(([name, spec]) => spec.required && name !== command.input)
  const params = Object.fromEntries(fixed.map(([name, spec]) => [name, spec.default]))
  const action: ActionDefinition = { id: command.name, label: command.label, ...base, params, requiresInput: false }
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

function failure(message: string, started: number, clock: Clock): CommandResult {
  return { success: false, message, error: message, execution_time: Math.round(clock.now() - started) }
}

/**
 * Looks up, checks and runs one command. Whatever goes wrong inside becomes an answer, because on the wire a failed
 * command is HTTP 200 with success false. Only an abort is thrown: then nobody waits for an answer any more.
 */
export async function executeFrom<Device>(
  commands: readonly CommandSpec<Device>[],
  call: {
    device: Device
    command: string
    params: Record<string, unknown>
    signal: AbortSignal
    clock: Clock
    isLenient?: boolean
  },
): Promise<CommandResult> {
  call.signal.throwIfAborted()
  const started = call.clock.now()
  const command = commands.find((one) => one.name === call.command)
  if (!command) return failure(`Unknown command ${String(call.command).slice(0, 80)}`, started, call.clock)
  try {
    const result = await command.run(call.device, parseParams(command, call.params ?? {}, call.isLenient), call.signal)
    const error = result.success ? null : result.message
    return { ...result, error, execution_time: Math.round(call.clock.now() - started) }
  } catch (cause) {
    call.signal.throwIfAborted()
    const text = cause instanceof Error ? cause.message : String(cause)
    return failure(`${command.name}: ${text}`, started, call.clock)
  }
}
