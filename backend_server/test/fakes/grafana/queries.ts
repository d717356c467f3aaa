import pg from 'pg'
import { expandMacros } from '../../grafana/expand-sql.ts'
import type { DataSource } from './configuration.ts'

export interface QueryRequest {
  from: string
  to: string
  queries: { refId: string; rawSql: string; datasource: { uid: string } }[]
}

/** The PostgreSQL data source: a pool of as many connections as the source allows. */
export function createQueries() {
  const pools = new Map<string, pg.Pool>()

  function poolOf(source: DataSource): pg.Pool {
    const [host, port] = source.url.split(':')
    const { user, secureJsonData, jsonData } = source
    const key = JSON.stringify([source.url, user, secureJsonData.password, jsonData])
    const known = pools.get(key)
    if (known) return known
    const pool = new pg.Pool({
      host,
      port: Number(port),
      user,
      password: secureJsonData.password,
      database: jsonData.database,
      max: jsonData.maxOpenConns,
      idleTimeoutMillis: 200,
      ...(jsonData.maxIdleConns === 0 && { maxUses: 1 }),
    })
    pool.on('error', () => {})
    pools.set(key, pool)
    return pool
  }

  return {
    async run(sources: Record<string, DataSource>, body: QueryRequest): Promise<{ status: number; body: unknown }> {
      const range = { from: new Date(Number(body.from)), to: new Date(Number(body.to)) }
      const results: Record<string, unknown> = {}
      let status = 200
      for (const { refId, rawSql, datasource } of body.queries) {
        // Data sources are looked for in the organization of the request and nowhere else.
        const source = sources[datasource.uid]
        if (!source) return { status: 404, body: { message: 'Data source not found' } }
        try {
          const result = await poolOf(source).query<unknown[]>({ text: expandMacros(rawSql, range), rowMode: 'array' })
          const fields = result.fields.map((field) => ({ name: field.name }))
          results[refId] = {
            status: 200,
            frames: [{ schema: { refId, fields }, data: { values: fields.map((_, at) => result.rows.map((row) => row[at])) } }],
          }
        } catch (error) {
          status = 400
          results[refId] = { status: 400, error: error instanceof Error ? error.message : 'failed' }
        }
      }
      return { status, body: { results } }
    },
    stop: async (): Promise<void> => {
      await Promise.all([...pools.values()].map((pool) => pool.end()))
    },
  }
}
