import { type Clock, type CommandResult, type CommandSpec, executeFrom } from '../../drivers/driver.ts'
import type { Machine } from '../desktop/index.ts'
import { apiCallBlock } from './api-call.ts'
import type { Block } from './block.ts'
import { codeBlock } from './code-block.ts'
import { timeBlocks } from './time-blocks.ts'
import { valueBlocks } from './value-blocks.ts'

export interface Blocks {
  describe(): Record<string, unknown>[]
  execute(command: string, params: Record<string, unknown>, signal: AbortSignal): Promise<CommandResult>
}

/**
 * Steps of a test case that need no device. What is listed and the check of parameters come from one table, and a block
 * that cannot work here is not listed.
 */
export function createBlocks({ clock, machine }: { clock: Clock; machine: Machine | null }): Blocks {
  const table: readonly CommandSpec<Block>[] = [...timeBlocks, ...valueBlocks, apiCallBlock, ...(machine ? [codeBlock] : [])]
  return {
    describe: () =>
      table.map(({ name, label, description, params, outputs }) => ({
        command: name,
        label,
        description,
        params,
        ...(outputs && { outputs }),
        block_type: 'standard_block',
      })),
    execute: (command, params, signal) =>
      executeFrom(table, { device: { clock, machine }, command, params, signal, clock, isLenient: true }),
  }
}
