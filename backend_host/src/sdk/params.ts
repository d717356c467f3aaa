import { readFileSync } from 'node:fs'
import { parseScriptArgs, type ScriptParameter } from '@virtualpytest/shared'
import { ParameterError } from './failures.ts'

export type ParamValue = string | number | boolean | null

type ValueTypes = { str: string; int: number; float: number; bool: boolean }
type ValueOf<Type extends string> = Type extends keyof ValueTypes ? ValueTypes[Type] : string
type NameAndType<Line> = Line extends `--${infer Name}:${infer Type}:${infer Default}`
  ? { [K in Name]: Default extends 'None' ? ValueOf<Type> | null : ValueOf<Type> }
  : Line extends `--${infer Name}:${infer Type}`
    ? { [K in Name]: ValueOf<Type> }
    : unknown
type Together<Union> = (Union extends unknown ? (one: Union) => void : never) extends (all: infer All) => void ? All : never

/** `['--channels:int:5']` gives `{ channels: number }`; names keep their dashes. */
export type ParamsOf<Lines extends readonly string[]> = Together<NameAndType<Lines[number]>>

/** What the server adds to every run; a script need not declare it. */
const alwaysAccepted = new Set(['host', 'device'])

/**
 * The parameters of this run, as declared: lines `--name:type:default` with the types str, int, float and bool; a line
 * without default is required. Without an argument the declaration is read from the text of the running script.
 */
export function params(): Record<string, ParamValue>
export function params<const Lines extends readonly string[]>(declared: Lines, argv?: readonly string[]): ParamsOf<Lines>
export function params(
  declared?: readonly string[],
  argv: readonly string[] = process.argv.slice(2),
): Record<string, ParamValue> {
  const source = declared ? `_script_args = ${JSON.stringify(declared)}` : readFileSync(process.argv[1] ?? '', 'utf8')
  return readParams(parseScriptArgs(source), argv)
}

function readParams(declared: readonly ScriptParameter[], argv: readonly string[]): Record<string, ParamValue> {
  const given = readArguments(declared, argv)
  const values: Record<string, ParamValue> = {}
  for (const parameter of declared) {
    const text = given.get(parameter.name) ?? parameter.default
    if (text === null && parameter.required) throw new ParameterError(`--${parameter.name} is missing`)
    values[parameter.name] = text === null ? null : readValue(parameter, text)
  }
  return values
}

function readArguments(declared: readonly ScriptParameter[], argv: readonly string[]): Map<string, string> {
  const given = new Map<string, string>()
  for (let i = 0; i < argv.length; i += 1) {
    const [, name = '', , attached] = /^--([A-Za-z][\w-]*)(=([\s\S]*))?$/.exec(argv[i] ?? '') ?? []
    // Schedules of the original put a name without dashes first, which no script reads.
    if (name === '') continue
    const parameter = declared.find((one) => one.name === name)
    const following = argv[i + 1]
    // A negative number is a value; another word with dashes is the next parameter.
    const hasValue = following !== undefined && (!following.startsWith('--') || following === '--')
    const isFlag = parameter?.value_type === 'bool' && !(hasValue && /^(true|false)$/i.test(following))
    const value = attached ?? (isFlag ? 'true' : hasValue ? following : undefined)
    if (attached === undefined && !isFlag && hasValue) i += 1
    if (!parameter) {
      if (!alwaysAccepted.has(name)) process.stderr.write(`Parameter --${name} is not known here and is ignored\n`)
      continue
    }
    if (value === undefined) throw new ParameterError(`--${name} needs a value`)
    given.set(name, value)
  }
  return given
}

function readValue({ name, value_type }: ScriptParameter, text: string): ParamValue {
  if (value_type === 'bool') {
    if (/^(true|false)$/i.test(text)) return text.toLowerCase() === 'true'
    throw new ParameterError(`--${name} must be true or false`)
  }
  if (value_type === 'str') return text
  const number = text.trim() === '' ? Number.NaN : Number(text)
  if (!Number.isFinite(number)) throw new ParameterError(`--${name} must be a number`)
  if (value_type === 'int' && !Number.isInteger(number)) throw new ParameterError(`--${name} must be a whole number`)
  return number
}
