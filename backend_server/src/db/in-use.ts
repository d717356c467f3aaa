import { closeClient, connectClient } from './client.ts'
import { schemaName } from './pool.ts'

/** True when hosts or runs are in the database: something that nobody wants to enter again. */
export async function isDatabaseInUse(url: string): Promise<boolean> {
  const client = await connectClient(url, { connectTimeoutMs: 5000, queryTimeoutMs: 30_000 })
  try {
    for (const table of ['hosts', 'runs']) {
      const found = await client.query<{ found: boolean }>('select to_regclass($1) is not null as found', [
        `${schemaName}.${table}`,
      ])
      if (!found.rows[0]?.found) continue
      if ((await client.query(`select 1 from ${schemaName}.${table} limit 1`)).rows.length > 0) return true
    }
    return false
  } finally {
    await closeClient(client)
  }
}
