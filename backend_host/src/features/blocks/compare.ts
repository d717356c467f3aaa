/** What `operand_type` makes of a value; undefined when it is no such value. */
export const operandTypes = ['int', 'str', 'list', 'dict'] as const
type OperandType = (typeof operandTypes)[number]
export const asOperandType = (text: string): OperandType => operandTypes.find((one) => one === text) ?? 'str'

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

export function asText(value: unknown): string {
  if (typeof value === 'string') return value
  return value === undefined || value === null ? '' : JSON.stringify(value)
}

export function convert(type: OperandType, value: unknown): unknown {
  if (type === 'str') return asText(value)
  if (type === 'list') return Array.isArray(value) ? value : undefined
  if (type === 'dict') return isObject(value) ? value : undefined
  const number = typeof value === 'number' ? value : typeof value === 'string' && value.trim() !== '' ? Number(value) : Number.NaN
  return Number.isFinite(number) ? number : undefined
}

/** Order of keys does not count, order of lists does. */
export function isSame(left: unknown, right: unknown): boolean {
  if (Array.isArray(left) && Array.isArray(right)) {
    return left.length === right.length && left.every((one, index) => isSame(one, right[index]))
  }
  if (isObject(left) && isObject(right)) {
    const names = Object.keys(left)
    return (
      names.length === Object.keys(right).length &&
      names.every((name) => Object.hasOwn(right, name) && isSame(left[name], right[name]))
    )
  }
  return left === right
}

const sizeOf = (value: unknown): number =>
  typeof value === 'string' || Array.isArray(value) ? value.length : isObject(value) ? Object.keys(value).length : 0

function holds(whole: unknown, part: unknown): boolean {
  if (typeof whole === 'string') return whole.includes(asText(part))
  if (Array.isArray(whole)) return whole.some((one) => isSame(one, part))
  return isObject(whole) && Object.hasOwn(whole, asText(part))
}

const order = (compare: (left: number | string, right: number | string) => boolean) => (left: unknown, right: unknown) => {
  if (typeof left === 'number' && typeof right === 'number') return compare(left, right)
  if (typeof left === 'string' && typeof right === 'string') return compare(left, right)
  throw new Error('Only numbers and texts can be ordered')
}

interface Condition {
  test: (left: unknown, right: unknown) => boolean
  /** The right side is a value to look for or none at all, and need not be of the operands' type. */
  hasFreeRight?: true
}

const notEmpty: Condition = { test: (left) => sizeOf(left) > 0, hasFreeRight: true }
const equals: Condition = { test: isSame }
const differs: Condition = { test: (left, right) => !isSame(left, right) }
const greater: Condition = { test: order((left, right) => left > right) }
const less: Condition = { test: order((left, right) => left < right) }
const atLeast: Condition = { test: order((left, right) => left >= right) }
const atMost: Condition = { test: order((left, right) => left <= right) }

export const conditions: Readonly<Record<string, Condition>> = {
  equals,
  not_equals: differs,
  greater_than: greater,
  less_than: less,
  greater_or_equal: atLeast,
  less_or_equal: atMost,
  contains: { test: holds, hasFreeRight: true },
  not_contains: { test: (left, right) => !holds(left, right), hasFreeRight: true },
  starts_with: { test: (left, right) => asText(left).startsWith(asText(right)) },
  ends_with: { test: (left, right) => asText(left).endsWith(asText(right)) },
  is_empty: { test: (left) => sizeOf(left) === 0, hasFreeRight: true },
  is_not_empty: notEmpty,
  '==': equals,
  '!=': differs,
  '>': greater,
  '<': less,
  '>=': atLeast,
  '<=': atMost,
}
