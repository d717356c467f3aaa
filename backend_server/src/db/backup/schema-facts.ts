import type pg from 'pg'
import { schemaName } from '../pool.ts'

/** What a backup must know of the schema, asked from the database itself: a new table is in the next backup by existing. */

export interface TableFacts {
  name: string
  columns: string[]
  /** Bytes on disk without indexes. */
  bytes: number
}

export interface MigrationRow {
  version: number
  name: string
  checksum: string
}

/** Written by the migrations of a restore, never copied. */
const migrationsTable = 'schema_migrations'

export const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`
export const qualified = (name: string): string => `${quote(schemaName)}.${quote(name)}`

/** One way of writing values, whatever the role or the server has as its default; without limits of time. */
export const copySettings = `
  set local search_path to ${schemaName}; set local statement_timeout to 0; set local idle_in_transaction_session_timeout to 0;
  set local datestyle to 'ISO, YMD'; set local timezone to 'UTC'; set local intervalstyle to 'postgres';
  set local extra_float_digits to 1; set local bytea_output to 'hex'; set local row_security to off`

/** Tables with their columns; a partitioned table counts once, and generated columns are computed again by a restore. */
export async function readTables(client: pg.Client): Promise<TableFacts[]> {
  const result = await client.query<{ name: string; columns: string[]; bytes: string }>(
    `select c.relname as name, pg_table_size(c.oid)::text as bytes,
            array(select a.attname::text from pg_attribute a
                   where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
                   order by a.attnum) as columns
       from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = $1 and c.relkind in ('r', 'p') and not c.relispartition and c.relname <> $2
      order by c.relname collate "C"`,
    [schemaName, migrationsTable],
  )
  return result.rows.map((row) => ({ ...row, bytes: Number(row.bytes) }))
}

export async function readAppliedMigrations(client: pg.Client): Promise<MigrationRow[]> {
  const found = await client.query<{ found: boolean }>('select to_regclass($1) is not null as found', [
    `${schemaName}.${migrationsTable}`,
  ])
  if (!found.rows[0]?.found) return []
  const result = await client.query<MigrationRow>(
    `select version, name, checksum from ${qualified(migrationsTable)} order by version`,
  )
  return result.rows
}

export async function readSequences(client: pg.Client): Promise<{ name: string; last_value: string; is_called: boolean }[]> {
  const names = await client.query<{ name: string }>(
    `select c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = $1 and c.relkind = 'S' order by c.relname collate "C"`,
    [schemaName],
  )
  const sequences = []
  for (const { name } of names.rows) {
    const result = await client.query<{ last_value: string; is_called: boolean }>(
      `select last_value::text, is_called from ${qualified(name)}`,
    )
    const row = result.rows[0]
    if (row) sequences.push({ name, ...row })
  }
  return sequences
}

/** Count and digest of a table. The sum does not depend on the order of the rows, so nothing has to be sorted. */
export async function digestTable(client: pg.Client, table: TableFacts): Promise<{ rows: number; content: string }> {
  const result = await client.query<{ rows: string; content: string }>(
    `select count(*)::text as rows,
            coalesce(sum(('x' || left(md5(one::text), 16))::bit(64)::bigint::numeric), 0)::text as content
       from (select ${columnList(table.columns)} from ${qualified(table.name)}) as one`,
  )
  const row = result.rows[0]
  return { rows: Number(row?.rows ?? 0), content: row?.content ?? '' }
}

export const columnList = (columns: readonly string[]): string => columns.map(quote).join(', ')

/** Tables that a migrated, unused database has rows in. */
const bornWithRows = new Map([
  ['teams', 'not is_default'],
  ['event_counter', 'last_seq > 0'],
  ['listing_versions', 'false'],
  ['leader_leases', 'false'],
])

/** The first table that holds something worth keeping; undefined when nothing would be lost. */
export async function firstUsedTable(client: pg.Client): Promise<string | undefined> {
  for (const { name } of await readTables(client)) {
    const result = await client.query(`select 1 from ${qualified(name)} where ${bornWithRows.get(name) ?? 'true'} limit 1`)
    if (result.rows.length > 0) return name
  }
  return undefined
}
