/*
 * How every program of this product reads its environment: one table of settings per program, read once, all problems reported
 * together, by name and never by value. Imported as `@virtualpytest/shared/settings`, apart from the contract, because it is
 * needed before anything else is loaded.
 */

export interface Setting<T> {
  env: string
  /** Text used when the variable is absent or empty; undefined: the setting has no value then (or one derived by its program). */
  fallback?: string
  required?: boolean
  /** Throws when the text is not acceptable. */
  parse: (text: string) => T
  /** What an acceptable value is, for the error message: "X must be ...". */
  says: string
  /** One sentence for the documentation. */
  doc: string
  secret?: boolean
}

/** Keeps what a table says literally, so that a setting with a fallback is known to have a value. */
export const setting = <const S extends Setting<unknown>>(one: S): S => one

export type Environment = Readonly<Record<string, string | undefined>>
export type SettingTable = Readonly<Record<string, Setting<unknown>>>
export type SettingValues<T extends SettingTable> = {
  -readonly [K in keyof T]: T[K] extends { fallback: string } | { required: true } ? Parsed<T[K]> : Parsed<T[K]> | undefined
}
type Parsed<S> = S extends { parse: (text: string) => infer T } ? T : never

/** All problems of the environment in one error; its message holds names and rules, never values. */
export class ConfigError extends Error {
  readonly problems: readonly string[]
  constructor(problems: readonly string[]) {
    super(['Configuration:', ...problems.map((problem) => `  ${problem}`)].join('\n'))
    this.name = 'ConfigError'
    this.problems = problems
  }
}

/**
 * Values of a table; what is wrong is added to `problems`, and then the values must not be used. `nameOf` gives the variable a
 * setting is read from, where that is not its own name. An empty variable is an absent one.
 */
export function readSettings<T extends SettingTable>(
  table: T,
  env: Environment,
  problems: string[],
  nameOf: (name: string) => string = (name) => name,
): SettingValues<T> {
  const values: Record<string, unknown> = {}
  for (const [key, one] of Object.entries(table)) {
    const name = nameOf(one.env)
    const text = env[name]?.trim() || one.fallback
    values[key] = undefined
    if (text === undefined) {
      if (one.required) problems.push(`${name} must be set to ${one.says}`)
      continue
    }
    try {
      values[key] = one.parse(text)
    } catch {
      problems.push(`${name} must be ${one.says}`)
    }
  }
  return values as SettingValues<T>
}

export const asText = (text: string): string => text

export function asPort(text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535) throw new Error('port')
  return Number(text)
}

export const asCount =
  (least: number, most: number) =>
  (text: string): number => {
    if (!/^\d{1,9}$/.test(text) || Number(text) < least || Number(text) > most) throw new Error('count')
    return Number(text)
  }

export function asBoolean(text: string): boolean {
  if (text === 'true' || text === '1') return true
  if (text === 'false' || text === '0') return false
  throw new Error('boolean')
}

export const asOneOf =
  <const T extends string>(...words: T[]) =>
  (text: string): T => {
    const found = words.find((word) => word === text)
    if (found === undefined) throw new Error('choice')
    return found
  }

export const asUrl =
  (...protocols: string[]) =>
  (text: string): string => {
    if (!protocols.includes(new URL(text).protocol)) throw new Error('protocol')
    return text
  }

export const asList = (text: string): string[] =>
  text
    .split(',')
    .map((one) => one.trim())
    .filter(Boolean)

/** A key short enough to be guessed is refused. */
export function asKey(text: string): string {
  if (text.length < 16) throw new Error('short')
  return text
}
