import type { CommandResult, CommandSpec } from '../../drivers/driver.ts'
import { defineCommand } from '../../drivers/driver.ts'
import type { Block } from './block.ts'

export const timeBlocks: readonly CommandSpec<Block>[] = [
  defineCommand({
    name: 'sleep',
    label: 'Sleep',
    description: 'Waits',
    offer: null,
    params: { duration: { type: 'number', required: true, default: 1, min: 0.1, max: 60, description: 'Seconds' } },
    run: async ({ clock }: Block, { duration }, signal): Promise<CommandResult> => {
      await clock.sleep(duration * 1000, signal)
      return { success: true, message: `Waited ${duration} s` }
    },
  }),
  defineCommand({
    name: 'get_current_time',
    label: 'Current time',
    description: 'The time of the host, in UTC',
    offer: null,
    params: {
      format: { type: 'enum', required: false, default: 'iso', choices: ['iso', 'unix', 'date', 'time'], description: 'Form' },
    },
    outputs: [{ name: 'current_time', type: 'string' }],
    run: async ({ clock }: Block, { format }): Promise<CommandResult> => {
      const iso = new Date(clock.now()).toISOString()
      const forms: Record<string, string> = {
        iso,
        unix: String(Math.floor(clock.now() / 1000)),
        date: iso.slice(0, 10),
        time: iso.slice(11, 19),
      }
      const current_time = forms[format] ?? iso
      return { success: true, message: current_time, output_data: { current_time } }
    },
  }),
]
