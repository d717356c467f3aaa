import { randomUUID } from 'node:crypto'
import { type Database, inTransaction } from '../../db/database.ts'
import type { CallTarget } from '../device-calls/index.ts'
import type { RunRow } from '../runs/index.ts'
import { insertBatch, recordStatus } from './batch.store.ts'
import { type HostStatus, parseStatus } from './host-status.ts'
import { type EvidenceOptions, keepEvidence } from './keep-evidence.ts'

export interface KeepCheckOptions extends EvidenceOptions {
  db: Database
  onEnded: (run: RunRow) => void
}

export interface EndedCheck {
  teamId: string
  requestedBy: string | null
  requestedIp: string
  target: CallTarget
  label: string
  kind: string
  tookMs: number
  metadata: Record<string, unknown>
  /** The answer of the host. */
  body: Record<string, unknown>
}

/**
 * A check that has been decided, as a batch of one that has ended: what it saw is kept as the evidence of any other, and its run says
 * who looked and what came of it. It is recorded at once and as a whole: there is nothing that could stay open.
 */
export async function keepCheck(options: KeepCheckOptions, check: EndedCheck): Promise<Record<string, unknown>> {
  const { teamId, target } = check
  const run = { id: randomUUID(), team_id: teamId }
  const kept = await keepEvidence(options, { run, target }, asStatus(check))
  const labels = { main: [check.label] }
  const ended = await inTransaction(options.db, async (tx) => {
    const { requestedBy, requestedIp, metadata, tookMs } = check
    const who = { teamId, requestedBy, requestedIp, host: target.host, device: target.device }
    // It is over: it stands on no lease and takes none.
    const over = { id: run.id, tookMs, leaseId: null, claims: 'no' as const }
    await insertBatch(tx, { ...who, ...over, kind: 'verification', name: check.label.slice(0, 300), labels, metadata })
    return recordStatus(
      tx,
      { run_id: run.id, kind: 'verification', host_execution_id: null, labels, status: null },
      kept.said,
      kept.artifacts,
    )
  })
  if (ended) options.onEnded(ended)
  const results = kept.said.result?.results as { evidence?: unknown }[] | undefined
  const evidence = results?.[0]?.evidence
  return { run_id: run.id, ...(evidence !== undefined && { evidence }) }
}

/** What a host would say of a batch of this check. Single checks call their pictures otherwise. */
function asStatus({ body, kind, tookMs }: EndedCheck): HostStatus {
  const { sourceUrl, referenceUrl, overlayUrl } = body
  const result = {
    ...body,
    verification_type: body.verification_type ?? kind,
    execution_time_ms: body.execution_time_ms ?? tookMs,
    sourceImageUrl: sourceUrl,
    referenceImageUrl: referenceUrl,
    resultOverlayUrl: overlayUrl,
  }
  const success = body.success === true
  const counts = { total_count: 1, passed_count: success ? 1 : 0, failed_count: success ? 0 : 1 }
  return parseStatus({
    status: success ? 'completed' : 'error',
    result: { success, ...counts, results: [result], message: body.message },
    progress: 100,
    message: body.message,
    elapsed_time_ms: tookMs,
  })
}
