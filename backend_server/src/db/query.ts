import type { Kysely, RawBuilder } from 'kysely'
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
