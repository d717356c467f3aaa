import { defaultTeamId, LabError, type Program, programRoutes } from '@virtualpytest/shared'
import type { Mount } from '../../http/mount.ts'
import { readLogTail } from './log-tail.ts'
import { residentMemory } from './resident-memory.ts'
import { readSupervisedPrograms, type SupervisedProgram } from './supervised-programs.ts'

const defaultLines = 20

/** What `supervisorctl status` and `tail` say, for people without a shell. */
export function mountProgramRoutes(mount: Mount, { runDir }: { runDir: string }): void {
  mount(programRoutes.list, async ({ query, caller }) => {
    // The last log lines speak of every team; as with teams, only the default team's administrators govern the server.
    if (caller.kind === 'token' && caller.teamId !== defaultTeamId) throw new LabError('forbidden')
    const [supervised, memory] = await Promise.all([readSupervisedPrograms(runDir), residentMemory()])
    const programs = supervised ?? [thisProcess()]
    const show = async (one: SupervisedProgram): Promise<Program> => ({
      name: one.name,
      state: one.state,
      pid: one.pid,
      started_at: one.started_at === null ? null : new Date(one.started_at * 1000).toISOString(),
      uptime_seconds:
        one.pid === null || one.started_at === null ? null : Math.max(0, Math.round(Date.now() / 1000 - one.started_at)),
      restarts: one.restarts,
      required: one.required,
      exit_status: one.exit_status,
      memory_bytes: one.pid === null ? null : (memory.get(one.pid) ?? null),
      log: await readLogTail(one.log_file, query.lines ?? defaultLines),
    })
    return { success: true, supervised: supervised !== undefined, programs: await Promise.all(programs.map(show)) }
  })
}

/** Asked once: the two clocks drift, and a start does not move. */
const startedAt = Date.now() / 1000 - process.uptime()

const thisProcess = (): SupervisedProgram => ({
  name: 'api',
  state: 'RUNNING',
  pid: process.pid,
  started_at: startedAt,
  restarts: 0,
  required: true,
  exit_status: null,
  log_file: '',
})
