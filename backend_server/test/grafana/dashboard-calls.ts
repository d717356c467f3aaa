import assert from 'node:assert/strict'
import { dataSourceUid } from '../../src/features/dashboards/data-source.ts'
import type { DashboardLab } from './start-dashboards.ts'

export const bearer = (secret: string): Record<string, string> => ({ authorization: `Bearer ${secret}` })

/** The cookie of a person who has signed in to the dashboards. */
export async function signIn(lab: DashboardLab, secret: string): Promise<string> {
  const response = await fetch(`${lab.url}/server/grafana-session`, { method: 'POST', headers: bearer(secret) })
  assert.equal(response.status, 200)
  return response.headers.getSetCookie()[0]?.split(';')[0] ?? ''
}

export interface QueryAnswer {
  results: Record<
    string,
    { error?: string; frames?: { schema: { fields: { name: string }[] }; data: { values: unknown[][] } }[] }
  >
}

export async function query(
  lab: DashboardLab,
  rawSql: string,
  headers: Record<string, string>,
  options: { search?: string; uid?: string } = {},
): Promise<{ status: number; body: QueryAnswer }> {
  const now = Date.now()
  const response = await fetch(`${lab.url}/grafana/api/ds/query?ds_type=grafana-postgresql-datasource${options.search ?? ''}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({
      from: String(now - 24 * 3_600_000),
      to: String(now + 1000),
      queries: [{ refId: 'A', datasource: { uid: options.uid ?? dataSourceUid }, rawSql, format: 'table', rawQuery: true }],
    }),
  })
  return { status: response.status, body: (await response.json()) as QueryAnswer }
}

/** Values of the first column of an answer. */
export const firstColumn = (answer: { body: QueryAnswer }): unknown[] | undefined =>
  answer.body.results?.A?.frames?.[0]?.data.values[0]
