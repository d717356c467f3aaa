import { AgentError, isCheckFailure, textOf } from './failures.ts'

/** How long a script may go on after its verdict, for example with a connection that it left open. */
const leaveAfterMs = 3000

function explain(cause: unknown): string {
  if (cause instanceof AgentError && cause.code === 'stale_token')
    return 'The run has lost its device: another run or person has it now.'
  if (isCheckFailure(cause)) return `FAILED: ${textOf(cause)}`
  // The place in the script is what its author needs; the failure of a check says enough by itself.
  return `ERROR: ${cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)}`
}

/**
 * Runs a script to its verdict: prints the marker that the agent reads and sets the exit code.
 * The script passes when `main` returns and fails when it throws.
 */
export async function run(main: () => void | Promise<void>): Promise<void> {
  let passed = false
  try {
    await main()
    passed = true
  } catch (cause) {
    process.stdout.write(`${explain(cause)}\n`)
  }
  process.stdout.write(`SCRIPT_SUCCESS:${passed}\n`)
  process.exitCode = passed ? 0 : 1
  setTimeout(() => process.exit(), leaveAfterMs).unref()
}
