import { sql } from 'kysely'
import { inTransaction } from '../../db/database.ts'
import { rowsOf } from '../../db/query.ts'
import { holdTerm } from '../../jobs/leader.ts'
import type { Job } from '../../jobs/runner.ts'
import { leaseLost } from './batch-run.ts'
import { finishRun, infrastructureEnd, type RunEnd } from './finish-run.ts'
import { type RunRow, runColumns } from './run.store.ts'

/** A host that was asked to cancel and does not report the end within this time has lost the run. */
const cancelPatienceSeconds = 30

/** Ends every run that can no longer end by itself. */
export function sweepRunsJob(options: {
  everyMs: number
  graceSeconds: number
  onEnded: (run: RunRow) => void
  /** The host may still be at work on it. */
  cancelOnHost: (run: RunRow) => void
}): Job {
  return {
    name: 'runs.sweep',
    everyMs: options.everyMs,
    leader: true,
    afterReadySeconds: options.graceSeconds,
    async run({ db, term, log }) {
      const ended = await inTransaction(db, async (tx) => {
        if (!(await holdTerm(tx, term))) return []
        const due = await rowsOf(
          tx,
          sql<RunRow & { why: string; ended_lease: Parameters<typeof leaseLost>[0] | null }>`
            select ${runColumns}, case
                     when status = 'queued' then 'queue_timeout'
                     when cancel_requested_at < now() - make_interval(secs => ${cancelPatienceSeconds}) then 'cancelled'
                     when kind = 'batch' and ended_lease is not null then 'lease_lost'
                     -- a host that is gone cannot keep to a limit; also an original one, whose run is trusted until then
                     when alive_until < now() then 'host_lost'
                     else 'deadline' end as why, ended_lease
              from runs
              left join lateral (
                   select jsonb_build_object('status', l.status, 'end_reason', l.end_reason) as ended_lease
                     from leases l where l.id = runs.lease_id and l.status <> 'held') lease on kind = 'batch'
             where (status = 'queued' and deadline_at < now())
                or (status in ('assigned', 'running')
                    and (alive_until < now() or kind = 'batch' and ended_lease is not null or deadline_at < now() - interval '15 seconds'
                         or cancel_requested_at < now() - make_interval(secs => ${cancelPatienceSeconds})))
             order by id limit 200
               for update of runs skip locked`,
        )
        const runs: RunRow[] = []
        for (const { why, ended_lease, ...run } of due) {
          const end = await finishRun(tx, run.id, ended_lease && why === 'lease_lost' ? leaseLost(ended_lease) : endOf(why, run))
          if (end) runs.push(end)
        }
        return runs
      })
      for (const run of ended) {
        log.info(
          { run_id: run.id, host_name: run.host_name, device_id: run.device_key, error_code: run.error_code },
          `run ended: ${run.status}`,
        )
        options.onEnded(run)
        if (run.error_code === 'lease_lost') options.cancelOnHost(run)
      }
    },
  }
}

function endOf(why: string, run: RunRow): RunEnd {
  if (why === 'cancelled')
    return { status: 'cancelled', errorMessage: run.cancel_reason ?? 'cancelled; the host did not confirm it' }
  if (why === 'queue_timeout') {
    return {
      status: 'error',
      failureClass: 'unknown',
      errorCode: why,
      errorMessage: 'No device became free before the queue timeout.',
    }
  }
  if (why === 'deadline') {
    return {
      status: 'error',
      // A health check is made by a server, which was killed over it.
      failureClass: run.kind === 'health_check' ? 'infrastructure' : 'test',
      errorCode: why,
      errorMessage: `The run did not end within its limit of ${run.timeout_seconds} s.`,
    }
  }
  return infrastructureEnd({ code: 'host_lost', message: 'The host gave no sign of life while it had this run.' })
}
