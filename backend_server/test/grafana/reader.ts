import { randomBytes } from 'node:crypto'
import type { TestContext } from 'node:test'
import { defaultTeamId } from '@virtualpytest/shared'
import pg from 'pg'
import { closeClient, connectClient } from '../../src/db/client.ts'
import { ensureReportRole } from '../../src/features/dashboards/report-role.ts'
import { withAdmin } from '../test-cluster.ts'
import { createTestDatabase, type TestDatabase, testAdminUrl } from '../test-db.ts'

/** A database whose owner may make users, as the product's must where it has dashboards. */
export async function createReportDatabase(t: TestContext): Promise<TestDatabase> {
  const database = await createTestDatabase(t)
  const owner = new URL(database.url).username
  await withAdmin(await testAdminUrl(), async (admin) => {
    // Other test files do the same to the same user at the same time, which PostgreSQL refuses.
    await admin.query("select pg_advisory_lock(hashtext('createrole'))")
    await admin.query(`alter role ${pg.escapeIdentifier(owner)} createrole`)
  })
  return database
}

export interface Reader {
  role: string
  password: string
  client: pg.Client
  query: <Row extends pg.QueryResultRow>(text: string) => Promise<Row[]>
}

/** The database user of a team's dashboards, logged in. */
export async function openReader(
  t: TestContext,
  { db, url }: TestDatabase,
  options: { teamId?: string; installation?: string } = {},
): Promise<Reader> {
  const password = randomBytes(32).toString('hex')
  const installation = options.installation ?? randomBytes(4).toString('hex')
  const role = await ensureReportRole(db, { teamId: options.teamId ?? defaultTeamId, installation, password })
  const address = new URL(url)
  address.username = role
  address.password = password
  const client = await connectClient(address.href, { connectTimeoutMs: 30_000, queryTimeoutMs: 30_000 })
  t.after(() => closeClient(client))
  return {
    role,
    password,
    client,
    query: async <Row extends pg.QueryResultRow>(text: string) => (await client.query<Row>(text)).rows,
  }
}
