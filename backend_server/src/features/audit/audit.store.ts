import { sql } from 'kysely'
import { often, type Queryable } from '../../db/query.ts'
import type { Caller } from '../../http/caller.ts'

export interface AuditEntry {
  caller: Caller
  action: string
  targetKind?: string
  targetId?: string
  reason?: string | null | undefined
  requestId?: string
  /** Facts worth keeping; never a secret. */
  details?: Record<string, unknown>
}

/** Records who did what, in the transaction that does it. */
export async function writeAudit(tx: Queryable, entry: AuditEntry): Promise<void> {
  const { caller } = entry
  await often(sql`
    insert into audit_log (team_id, actor_kind, actor_id, action, target_kind, target_id, details, reason, request_id, ip)
    select t.id, ${caller.kind}, ${caller.tokenId ?? caller.hostName}, ${entry.action}, ${entry.targetKind ?? null},
           ${entry.targetId ?? null}, ${JSON.stringify(entry.details ?? {})}, ${entry.reason ?? null}, ${entry.requestId ?? null}, ${caller.ip}
      from (select 1) one left join teams t on t.id = ${caller.teamId}`).execute(tx.kysely)
}
