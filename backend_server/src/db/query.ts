import { type Kysely, type RawBuilder, sql } from 'kysely'
import { oftenMark } from './pool.ts'
import type { DB } from './schema.generated.ts'

/** What reads and writes go through: the pool or one transaction. */
export interface Queryable {
  readonly kysely: Kysely<DB>
}

/** Rows of one written-out statement (Kysely's `sql` template binds every value as a parameter). */
export async function rowsOf<Row>(db: Queryable, statement: RawBuilder<Row>): Promise<Row[]> {
  return (await statement.execute(db.kysely)).rows
}

export async function firstRow<Row>(db: Queryable, statement: RawBuilder<Row>): Promise<Row | undefined> {
  return (await statement.execute(db.kysely)).rows[0]
}

/**
 * For a statement of every call: sessions of ours alone keep it planned. Its text must be the same each time, and it must name
 * its columns: PostgreSQL refuses a kept statement whose `*` has come to mean something else.
 */
export const often = <Row>(statement: RawBuilder<Row>): RawBuilder<Row> => sql`${sql.raw(oftenMark)} ${statement}`
