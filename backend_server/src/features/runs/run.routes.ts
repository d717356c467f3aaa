import { isFinalRun, LabError, openRunStatuses, runRoutes, ScriptName } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { type Database, inTransaction } from '../../db/database.ts'
import { firstRow } from '../../db/query.ts'
import type { Caller } from '../../http/caller.ts'
import type { Mount } from '../../http/mount.ts'
import { findArtifact, listArtifacts, type ObjectStore, sendArtifact, showArtifact } from '../artifacts/index.ts'
import { writeAudit } from '../audit/index.ts'
import { assertNotBad } from '../device-health/index.ts'
import { holderOf } from '../leases/index.ts'
import { cancelRun } from './cancel-run.ts'
import type { Dispatcher } from './dispatch-run.ts'
import { readLog } from './read-log.ts'
import { findRun, type RunRow } from './run.store.ts'
import { listExecutionResults, listRuns, listSteps, showRun, showScriptResult, showTask } from './run.view.ts'
import { insertRetry, submitRun } from './submit-run.ts'

export interface RunRouteOptions {
  db: Database
  store: ObjectStore
  dispatcher: Dispatcher
  authMode: 'open' | 'required'
  /** Is this script known to the server's own folder? Hosts of ours announce theirs. */
  serverHasScript: (name: string) => Promise<boolean>
  onEnded: (run: RunRow) => void
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

export function mountRunRoutes(mount: Mount, options: RunRouteOptions): void {
  const { db, store, dispatcher, onEnded } = options

  mount(runRoutes.execute, async ({ body, caller, request }) => {
    const device = await readTarget(db, caller, body.host_name, body.device_id)
    const scriptName = await checkScript(options, device, body.script_name)
    const { run } = await inTransaction(db, (tx) =>
      submitRun(tx, {
        teamId: caller.teamId,
        device,
        scriptName,
        parameters: withTarget(body.parameters ?? '', body.host_name, body.device_id),
        requestedBy: caller.name ?? body.user_id ?? body.session_id ?? null,
        holder: holderOf(caller, body),
        ownerByAddress: options.authMode === 'open',
        token: body.token,
        queue: body.queue,
        queueTimeoutSeconds: body.queue_timeout_seconds,
        timeoutSeconds: body.timeout_seconds,
        retries: body.retries,
        priority: body.priority,
        idempotencyKey: idempotencyKey(request.headers['idempotency-key']),
      }),
    )
    if (run.status === 'assigned') dispatcher.dispatch(run.id)
    request.log.info({ run_id: run.id, host_name: run.host_name, device_id: run.device_key, status: run.status }, 'run submitted')
    return {
      success: true,
      task_id: run.id,
      run_id: run.id,
      status: 'started',
      run_status: run.status,
      message: run.status === 'queued' ? 'Script waits for the device' : 'Script execution started',
    }
  })

  mount(runRoutes.status, async ({ params, caller }) => ({
    success: true,
    task: showTask(await requireRun(db, caller, params.task_id)),
  }))

  mount(runRoutes.list, async ({ query, caller }) => {
    const runs = await listRuns(db, {
      teamId: caller.teamId,
      statuses: parseStatuses(query.status),
      hostName: query.host_name,
      deviceKey: query.device_id,
      name: query.name,
      kinds: query.kind === undefined ? 'recorded' : query.kind === 'all' ? undefined : [query.kind],
      before: query.before,
      limit: query.limit,
    })
    return {
      success: true,
      runs: runs.map(showRun),
      next_before: runs.length === query.limit ? (runs.at(-1)?.queued_at ?? null) : null,
    }
  })

  mount(runRoutes.read, async ({ params, caller }) => {
    const [run] = await listRuns(db, { teamId: caller.teamId, id: params.run_id, limit: 1 })
    if (!run) throw new LabError('run_not_found')
    const [steps, artifacts] = [await listSteps(db, run.id), await listArtifacts(db, run.id)]
    return { success: true, run: showRun(run), steps, artifacts: artifacts.map(showArtifact) }
  })

  mount(runRoutes.log, async ({ params, query, caller }) => {
    const run = await requireRun(db, caller, params.run_id)
    return { success: true, ...(await readLog(db, store, run, { after: query.after, limit: query.limit })) }
  })

  mount(runRoutes.artifact, async ({ params, caller, reply }) => {
    const run = await requireRun(db, caller, params.run_id)
    return sendArtifact(reply, store, await findArtifact(db, run.id, params.artifact_id))
  })

  mount(runRoutes.report, async ({ params, caller, reply }) => {
    const run = await requireRun(db, caller, params.run_id)
    if (run.report_artifact_id === null)
      throw new LabError('run_not_finished', { text: 'The report of this run is not written yet.' })
    return sendArtifact(reply, store, await findArtifact(db, run.id, run.report_artifact_id))
  })

  mount(runRoutes.cancel, async ({ params, body, caller, request }) => {
    const reason = body?.reason ?? `cancelled by ${caller.name ?? 'a user'}`
    const run = await inTransaction(db, async (tx) => {
      const cancelled = await cancelRun(tx, { runId: params.run_id, teamId: caller.teamId, reason })
      await writeAudit(tx, {
        caller,
        action: 'run.cancel',
        targetKind: 'run',
        targetId: params.run_id,
        reason,
        requestId: request.id,
      })
      return cancelled
    })
    if (isFinalRun(run.status)) onEnded(run)
    else dispatcher.cancelOnHost(run)
    return { success: true, run: showRun(run) }
  })

  mount(runRoutes.retry, async ({ params, caller }) => {
    const run = await inTransaction(db, async (tx) => {
      const ended = await findRun(tx, params.run_id, caller.teamId)
      if (!ended) throw new LabError('run_not_found')
      if (!isFinalRun(ended.status)) throw new LabError('run_not_finished')
      if (ended.device_id !== null) await assertNotBad(tx, ended.device_id)
      const retry = await insertRetry(tx, ended, { retriesLeft: ended.retries_left, requestedBy: caller.name })
      if (!retry && ended.kind !== 'script')
        throw new LabError('conflict', { text: `A run of the kind ${ended.kind} is not started again.` })
      if (!retry) throw new LabError('device_not_found')
      return retry
    })
    dispatcher.assignWaiting()
    return { success: true, run: showRun(run) }
  })

  mount(runRoutes.scriptResults, async ({ query, caller }) => {
    const runs = await listRuns(db, {
      teamId: caller.teamId,
      name: query.script_name,
      kinds: 'recorded',
      hostName: query.host_name,
      before: query.before,
      success: query.success === undefined ? undefined : query.success === 'true',
      limit: query.limit,
    })
    return runs.map(showScriptResult)
  })

  mount(runRoutes.check, async ({ params, body, caller }) => {
    const row = await firstRow(
      db,
      sql`update runs set checked = ${body.checked}, check_type = ${body.check_type}, updated_at = now()
           where id = ${params.run_id} and team_id = ${caller.teamId} returning id`,
    )
    if (!row) throw new LabError('run_not_found')
    return { status: 'success' }
  })

  mount(runRoutes.discard, async ({ params, body, caller }) => {
    const comment = body.discard_comment ?? null
    const row = await firstRow(
      db,
      sql`
        update runs
           set discarded = ${body.discard}, updated_at = now(),
               discard_comment = case when check_type = 'ai' and discard_comment is not null and ${comment}::text is not null
                                      then discard_comment || E'\n\nHuman: ' || ${comment}::text else ${comment}::text end,
               check_type = case when check_type = 'ai' then 'ai_and_human' else ${body.check_type} end
         where id = ${params.run_id} and team_id = ${caller.teamId} returning id`,
    )
    if (!row) throw new LabError('run_not_found')
    return { status: 'success' }
  })

  mount(runRoutes.executionResults, async ({ caller }) => listExecutionResults(db, caller.teamId))
}

async function requireRun(db: Database, caller: Caller, id: string): Promise<RunRow> {
  const run = uuid.test(id) ? await findRun(db, id, caller.teamId) : undefined
  if (!run) throw new LabError('run_not_found')
  return run
}

type Target = Parameters<typeof submitRun>[1]['device'] & { isAgent: boolean; scripts: { name: string }[] }

async function readTarget(db: Database, caller: Caller, hostName: string, deviceKey: string): Promise<Target> {
  const row = await firstRow(
    db,
    sql<{
      id: string | null
      name: string | null
      model: string | null
      host_id: string
      agent: string | null
      scripts: { name: string }[]
    }>`
      select d.id, d.name, d.model, h.id as host_id, h.agent, h.scripts
        from hosts h left join devices d on d.host_id = h.id and d.device_key = ${deviceKey} and d.present
       where h.name = ${hostName} and h.team_id = ${caller.teamId} and h.status <> 'retired'`,
  )
  if (!row) throw new LabError('host_not_found', { text: `Host "${hostName}" not found`, errorType: 'device_not_found' })
  if (row.id === null)
    throw new LabError('device_not_found', {
      text: `Device "${deviceKey}" not found on host "${hostName}"`,
      errorType: 'device_not_found',
    })
  return {
    id: row.id,
    key: deviceKey,
    name: row.name,
    model: row.model,
    hostId: row.host_id,
    hostName,
    isAgent: row.agent !== null,
    scripts: row.scripts,
  }
}

/** Our agents say which scripts they have; an original host does not, so there only the form of the name can be checked. */
async function checkScript(options: RunRouteOptions, target: Target, asked: string): Promise<string> {
  const name = ScriptName.safeParse(asked.replace(/\.py$/, ''))
  if (!name.success)
    throw new LabError('validation_error', { text: `script_name: "${asked.slice(0, 100)}" is not a script name.` })
  if (!target.isAgent) return name.data
  if (target.scripts.some((script) => script.name === name.data)) return name.data
  const onServer = await options.serverHasScript(name.data)
  throw new LabError('script_not_found', {
    text: onServer ? `Host "${target.hostName}" does not have the script "${name.data}".` : `There is no script "${name.data}".`,
  })
}

/** Scripts find their device by these two; without `--device` an original script would use device1. */
function withTarget(parameters: string, hostName: string, deviceKey: string): string {
  const has = (flag: string): boolean => new RegExp(`(^|\\s)${flag}(=|\\s|$)`).test(parameters)
  return [
    parameters.trim(),
    has('--host') ? '' : `--host ${shellWord(hostName)}`,
    has('--device') ? '' : `--device ${shellWord(deviceKey)}`,
  ]
    .filter(Boolean)
    .join(' ')
}

const shellWord = (text: string): string => (/^[\w.:-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`)

function parseStatuses(text: string | undefined): string[] | undefined {
  if (!text) return undefined
  return text.split(',').flatMap((word) => (word.trim() === 'open' ? [...openRunStatuses] : [word.trim()]))
}

function idempotencyKey(header: string | string[] | undefined): string | null {
  const key = Array.isArray(header) ? header[0] : header
  if (key === undefined || key === '') return null
  if (key.length > 200) throw new LabError('validation_error', { text: 'Idempotency-Key may have at most 200 characters.' })
  return key
}
