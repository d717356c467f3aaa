import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { z } from 'zod'

/*
 * How the programs of this container are. Process 1 writes it down every second: the supervisor's own socket belongs to root.
 */

const SupervisedProgram = z.object({
  name: z.string(),
  state: z.enum(['STOPPED', 'STARTING', 'RUNNING', 'BACKOFF', 'STOPPING', 'EXITED', 'FATAL', 'UNKNOWN']),
  pid: z.int().nullable(),
  started_at: z.number().nullable(),
  restarts: z.int(),
  required: z.boolean(),
  exit_status: z.int().nullable(),
  log_file: z.string(),
})
export type SupervisedProgram = z.infer<typeof SupervisedProgram>

const File = z.object({ written_at: z.number(), programs: z.array(SupervisedProgram) })

/** Undefined outside the container. */
export async function readSupervisedPrograms(runDir: string): Promise<SupervisedProgram[] | undefined> {
  try {
    return File.parse(JSON.parse(await readFile(path.join(runDir, 'programs.json'), 'utf8'))).programs
  } catch {
    return undefined
  }
}

export interface ProgramWatch {
  /** Sentences about optional programs that do not run; the server works without them. */
  reasons: () => string[]
  stop: () => void
}

/** Sampled, so that a health check waits for no file. */
export function watchPrograms(runDir: string, everyMs = 2000): ProgramWatch {
  let reasons: string[] = []
  // Reading cannot fail, it finds nothing.
  const sample = (): void =>
    void readSupervisedPrograms(runDir).then((programs = []) => {
      const down = programs.filter(({ required, state }) => !required && state !== 'RUNNING')
      reasons = down.map(({ name, state }) => `the program ${name} does not run (${state})`)
    })
  const timer = setInterval(sample, everyMs)
  timer.unref()
  sample()
  return { reasons: () => reasons, stop: () => clearInterval(timer) }
}
