import { z } from 'zod'
import { TeamQuery, Timestamp } from '../ids.ts'
import { defineRoutes } from '../route.ts'

export const Program = z
  .object({
    name: z.string(),
    state: z
      .enum(['STOPPED', 'STARTING', 'RUNNING', 'BACKOFF', 'STOPPING', 'EXITED', 'FATAL', 'UNKNOWN'])
      .describe('the words of supervisorctl status; an optional program that rests before its next start shows BACKOFF'),
    pid: z.int().nullable(),
    started_at: Timestamp.nullable(),
    uptime_seconds: z.int().nullable(),
    restarts: z.int().describe('since the container started'),
    required: z.boolean().describe('the container ends when it cannot be kept running'),
    exit_status: z.int().nullable().describe('of its last end, while it does not run'),
    memory_bytes: z.int().nullable().describe('resident memory of the program and its children'),
    log: z.array(z.string()).describe('its last lines, without secrets'),
  })
  .meta({ id: 'Program' })
export type Program = z.infer<typeof Program>

export const programRoutes = defineRoutes({
  list: {
    method: 'GET',
    path: '/server/system/programs',
    access: 'admin',
    summary: 'Programs of the container as supervisorctl status shows them, with memory, restarts and last log lines',
    query: TeamQuery.extend({
      lines: z.coerce.number().int().min(0).max(200).optional().describe('log lines of each; default 20'),
    }),
    answers: {
      200: z.object({
        success: z.literal(true),
        supervised: z.boolean().describe('false where the server runs without the container'),
        programs: z.array(Program),
      }),
    },
    failures: [400, 401, 403],
  },
})
