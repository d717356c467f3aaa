import { type CommandResult, type CommandSpec, defineCommand } from '../../drivers/driver.ts'
import type { Block } from './block.ts'
import { asOperandType, asText, conditions, convert, operandTypes } from './compare.ts'

const operand = (description: string) => ({ type: 'object', required: false, default: null, description }) as const
const shown = (value: unknown): string => (typeof value === 'string' ? `"${value}"` : JSON.stringify(value)).slice(0, 100)

const numberOf = (value: unknown): number => {
  const number = convert('int', value)
  if (typeof number !== 'number') throw new Error(`${shown(value)} is no number`)
  return number
}

/** The value at a path such as `items.0.name`. */
function valueAt(value: unknown, path: string): unknown {
  let found = value
  for (const part of path.split('.').filter(Boolean)) {
    const isIn = typeof found === 'object' && found !== null && Object.hasOwn(found, part)
    if (!isIn) throw new Error(`There is nothing at ${path.slice(0, 100)}`)
    found = (found as Record<string, unknown>)[part]
  }
  return found
}

const operations: Readonly<Record<string, (left: unknown, right: unknown) => unknown>> = {
  add: (left, right) => numberOf(left) + numberOf(right),
  subtract: (left, right) => numberOf(left) - numberOf(right),
  multiply: (left, right) => numberOf(left) * numberOf(right),
  divide(left, right) {
    if (numberOf(right) === 0) throw new Error('Nothing can be divided by 0')
    return numberOf(left) / numberOf(right)
  },
  round: (left, right) => Number(numberOf(left).toFixed(Math.min(10, Math.max(0, right === null ? 0 : numberOf(right))))),
  concat: (left, right) => (Array.isArray(left) && Array.isArray(right) ? [...left, ...right] : asText(left) + asText(right)),
  length: (left) =>
    Array.isArray(left) ? left.length : typeof left === 'object' && left ? Object.keys(left).length : asText(left).length,
  upper: (left) => asText(left).toUpperCase(),
  lower: (left) => asText(left).toLowerCase(),
  trim: (left) => asText(left).trim(),
  split: (left, right) => asText(left).split(right === null ? ' ' : asText(right)),
  join: (left, right) => (Array.isArray(left) ? left.map(asText).join(right === null ? ' ' : asText(right)) : asText(left)),
  get: (left, right) => valueAt(left, asText(right)),
}

export const valueBlocks: readonly CommandSpec<Block>[] = [
  defineCommand({
    name: 'evaluate_condition',
    label: 'Condition',
    description: 'Passes when the condition is true',
    offer: null,
    params: {
      operand_type: { type: 'enum', required: false, default: 'str', choices: operandTypes, description: 'What is compared' },
      condition: { type: 'enum', required: true, default: 'equals', choices: Object.keys(conditions), description: 'Condition' },
      left_operand: operand('Left side'),
      right_operand: operand('Right side'),
    },
    outputs: [{ name: 'result', type: 'boolean' }],
    run: async (_block: Block, values): Promise<CommandResult> => {
      const type = asOperandType(values.operand_type)
      const condition = conditions[values.condition]
      if (!condition) throw new Error(`There is no condition ${values.condition}`)
      const left = convert(type, values.left_operand)
      const right = condition.hasFreeRight ? values.right_operand : convert(type, values.right_operand)
      if (left === undefined) throw new Error(`left_operand ${shown(values.left_operand)} is no ${type}`)
      if (right === undefined) throw new Error(`right_operand ${shown(values.right_operand)} is no ${type}`)
      const result = condition.test(left, right)
      const message = `${shown(left)} ${values.condition} ${right === null ? '' : shown(right)} is ${result}`
      return { success: result, message, output_data: { result } }
    },
  }),
  defineCommand({
    name: 'set_variable',
    label: 'Set variable',
    description: 'Gives a value a name for the steps that follow',
    offer: null,
    params: {
      name: { type: 'string', required: true, default: '', description: 'Name', placeholder: 'channel' },
      value: operand('Value'),
    },
    run: async (_block: Block, { name, value }): Promise<CommandResult> => {
      if (!/^[A-Za-z_]\w{0,99}$/.test(name)) throw new Error('A name has letters, digits and _ and begins with no digit')
      return { success: true, message: `${name} = ${shown(value)}`, output_data: { [name]: value } }
    },
  }),
  defineCommand({
    name: 'common_operation',
    label: 'Calculate',
    description: 'A number, text or list made of others',
    offer: null,
    params: {
      operation: { type: 'enum', required: true, default: 'add', choices: Object.keys(operations), description: 'Operation' },
      left_operand: operand('First value'),
      right_operand: operand('Second value, where there is one'),
    },
    outputs: [{ name: 'result', type: 'object' }],
    run: async (_block: Block, values): Promise<CommandResult> => {
      const operation = operations[values.operation]
      if (!operation) throw new Error(`There is no operation ${values.operation}`)
      const result = operation(values.left_operand, values.right_operand)
      return { success: true, message: `${values.operation}: ${shown(result)}`, output_data: { result } }
    },
  }),
]
