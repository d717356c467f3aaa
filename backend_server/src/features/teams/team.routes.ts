import { randomUUID } from 'node:crypto'
import { defaultTeamId, LabError, type Team, teamRoutes } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { type Database, inTransaction, isUniqueViolation } from '../../db/database.ts'
import { firstRow, rowsOf } from '../../db/query.ts'
import type { Mount } from '../../http/mount.ts'
import { writeAudit } from '../audit/index.ts'
import { createToken } from '../tokens/index.ts'

const columns = sql`id, name, description, tenant_id, created_by, is_default, 0 as member_count, created_at, updated_at`

export function mountTeamRoutes(mount: Mount, { db }: { db: Database }): void {
  mount(teamRoutes.list, ({ caller }) =>
    rowsOf(
      db,
      sql<Team>`select ${columns} from teams where ${caller.kind === 'open'} or id = ${caller.teamId} order by created_at, name`,
    ),
  )

  mount(teamRoutes.create, async ({ body, caller, request }) => {
    // A token governs its own team; only the default team's administrators govern the server.
    if (caller.kind === 'token' && caller.teamId !== defaultTeamId) throw new LabError('forbidden')
    try {
      return await inTransaction(db, async (tx) => {
        const team = await firstRow(
          tx,
          sql<Team>`
            insert into teams (id, name, description, created_by)
            values (${randomUUID()}, ${body.name}, ${body.description ?? null}, ${caller.name}) returning ${columns}`,
        )
        if (!team) throw new LabError('internal')
        await writeAudit(tx, { caller, action: 'team.create', targetKind: 'team', targetId: team.id, requestId: request.id })
        // Nobody could enter the new team otherwise: tokens are made inside their team.
        const first =
          caller.kind === 'token'
            ? await createToken(tx, { teamId: team.id, name: 'first admin', role: 'admin', days: 30, createdBy: caller.name })
            : undefined
        return { ...team, admin_token: first?.secret ?? null }
      })
    } catch (error) {
      if (isUniqueViolation(error, 'teams_name_key'))
        throw new LabError('conflict', { text: 'There is a team of this name already.' })
      throw error
    }
  })
}
