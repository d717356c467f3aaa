import { type CommandResult, defineCommand } from '../../drivers/driver.ts'
import { runShell } from '../desktop/index.ts'
import type { Block } from './block.ts'

/** Code of callers on the host machine: there only where its shell is on, and the server lets administrators through only. */
export const codeBlock = defineCommand({
  name: 'custom_code',
  label: 'Python code',
  description: 'Runs Python on the host; passes when it ends without an error',
  offer: null,
  params: {
    code: { type: 'string', required: true, default: '', description: 'Python' },
    timeout: { type: 'number', required: false, default: 30, min: 1, max: 110, description: 'Seconds' },
  },
  outputs: [
    { name: 'output', type: 'string' },
    { name: 'exit_code', type: 'number' },
  ],
  run: async ({ machine }: Block, { code, timeout }, signal): Promise<CommandResult> => {
    if (!machine) throw new Error('The shell of this host is off')
    const run = { file: 'python3', args: ['-'], cwd: machine.folder, env: machine.env, input: code }
    const done = await runShell({ ...run, timeoutMs: timeout * 1000 }, signal)
    const success = done.exitCode === 0 && !done.isTimedOut
    const lastError = done.error.trim().split('\n').at(-1)
    const why = done.isTimedOut ? `It did not end within ${timeout} s` : lastError || `Exit code ${done.exitCode}`
    return { success, message: success ? 'The code ran' : why, output_data: { output: done.output, exit_code: done.exitCode } }
  },
})
