/** The check of parameters: what a command declares is what it gets, or the caller is told what is wrong. */
export type ParamDefinition = {
  type: 'string' | 'number' | 'boolean' | 'enum' | 'area' | 'object'
  required: boolean
  default: unknown
  description?: string
  placeholder?: string
  choices?: readonly string[]
  min?: number
  max?: number
}

export type ParamSpecs = Record<string, ParamDefinition>
type ParamTypes = { string: string; number: number; boolean: boolean; enum: string; area: Area; object: unknown }
export type ParamType<P extends ParamDefinition> = ParamTypes[P['type']]

/** A part of the screen, in pixels of the screenshot. */
export type Area = { x: number; y: number; width: number; height: number }

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
  if (spec.type === 'object') return parseJson(raw)
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

/** Forms send lists and objects as text; a text that is no JSON is meant as it is. */
function parseJson(raw: unknown): unknown {
  if (typeof raw !== 'string') return raw
  try {
    return JSON.parse(raw) as unknown
  } catch {
    return raw
  }
}

function parseArea(name: string, raw: unknown): Area {
  const given = typeof raw === 'object' && raw !== null ? Object.entries(raw) : []
  const numbers = new Map(
    given.filter((entry): entry is [string, number] => typeof entry[1] === 'number' && Number.isFinite(entry[1])),
  )
  // Where a thing may lie elsewhere, clients add the larger part in which it still counts.
  const isFuzzy = ['fx', 'fy', 'fwidth', 'fheight'].every((side) => numbers.has(side))
  const [x, y, width, height] = ['x', 'y', 'width', 'height'].map((side) => numbers.get(isFuzzy ? `f${side}` : side))
  if (x === undefined || y === undefined || !width || !height || width < 0 || height < 0) {
    throw new BadParameter(`${name} must have x, y, width and height as numbers`)
  }
  return { x, y, width, height }
}

/** `wait_time` belongs to the batch that runs the action, but arrives inside its parameters. */
const batchParams = new Set(['wait_time'])

/** `isLenient`: unknown names are ignored, as clients keep notes of their own among the parameters of a check. */
export function parseParams(
  command: { params: ParamSpecs; anyOf?: readonly string[] },
  raw: Record<string, unknown>,
  isLenient = false,
): Record<string, unknown> {
  for (const name of isLenient ? [] : Object.keys(raw)) {
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
