import { createInterface } from 'node:readline'
import { z } from 'zod'
import { CliError, exitCodes } from './cli-error.ts'
import { ownEnvironment } from './config.ts'
import { spawnProgram } from './programs.ts'

const Line = z.union([
  z.object({ progress: z.string() }),
  z.object({ result: z.unknown() }),
  z.object({ error: z.string(), hints: z.array(z.string()) }),
])

export interface MaintenanceOrder {
  /** What the program is asked to do; see maintenance/main.ts. */
  order: { do: 'backup' | 'restore' | 'list' | 'examine' } & Record<string, unknown>
  databaseUrl?: string | undefined
  onProgress?: (text: string) => void
}

/**
 * Has the maintenance program of the server do something. An interrupt is passed on, and the program tidies up before it
 * ends. The address of the database goes by the environment, where other users of the machine cannot read it.
 */
export async function maintain<T extends z.ZodType>(
  schema: T,
  { order, databaseUrl, onProgress }: MaintenanceOrder,
): Promise<z.output<T>> {
  const env = { ...ownEnvironment(), ...(databaseUrl !== undefined && { DATABASE_URL: databaseUrl }) }
  const child = spawnProgram('maintenance', { stdio: ['pipe', 'pipe', 'inherit'], env })
  if (!child.stdin || !child.stdout) throw new Error('the maintenance program was started without pipes')
  // The terminal sends its interrupt to the child too; this process only waits for it.
  const wait = (signal: NodeJS.Signals): void => {
    if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal)
  }
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  for (const signal of signals) process.on(signal, wait)
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve(code ?? 1))
  })
  child.stdin.on('error', () => {})
  child.stdin.end(JSON.stringify(order))
  let answer: { result: unknown } | { error: string; hints: string[] } | undefined
  for await (const text of createInterface({ input: child.stdout })) {
    const line = Line.parse(JSON.parse(text))
    if ('progress' in line) onProgress?.(line.progress)
    else answer = line
  }
  const status = await ended
  for (const signal of signals) process.off(signal, wait)
  if (!answer)
    throw new CliError(`The maintenance program ended with ${status} and without an answer.`, { exitCode: exitCodes.error })
  if ('error' in answer) throw new CliError(answer.error, { hints: answer.hints, exitCode: exitCodes.failed })
  return schema.parse(answer.result)
}
