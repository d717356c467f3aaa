import { z } from 'zod'

/*
 * A backup is one gzip file of readable text (`zcat FILE | less`):
 *
 *   {"virtualpytest_backup":1,...}          head: when, by what, which migrations
 *   {"table":"hosts","columns":["id",...]}  for each table ...
 *   rows as COPY writes them                ... its rows ...
 *   \.                                      ... and the end mark of COPY, which is never the start of a row
 *   {"tables":[...],"sequences":[...]}      last line: row counts and hashes
 *
 * The last line is what makes it complete: a file that was cut anywhere lacks it. All rows are of one snapshot.
 */

export const formatVersion = 1

export const backupKinds = ['daily', 'manual', 'migration'] as const
export type BackupKind = (typeof backupKinds)[number]

export const BackupHead = z.object({
  virtualpytest_backup: z.int(),
  created_at: z.string(),
  kind: z.enum(backupKinds),
  /** Version of the product that wrote it, and of PostgreSQL. */
  product: z.string(),
  postgres: z.string(),
  migrations: z.array(z.object({ version: z.int(), name: z.string(), checksum: z.string() })),
})
export type BackupHead = z.infer<typeof BackupHead>

export const TableHead = z.object({ table: z.string(), columns: z.array(z.string()) })
export type TableHead = z.infer<typeof TableHead>

export const TableSummary = z.object({
  name: z.string(),
  rows: z.int(),
  bytes: z.int(),
  /** Of the rows as they stand in the file. */
  sha256: z.string(),
  /** Of the rows in whatever order, computed by the database; equal contents have equal digests. */
  content: z.string(),
})
export type TableSummary = z.infer<typeof TableSummary>

export const BackupTail = z.object({
  tables: z.array(TableSummary),
  sequences: z.array(z.object({ name: z.string(), last_value: z.string(), is_called: z.boolean() })),
})
export type BackupTail = z.infer<typeof BackupTail>

export const endOfRows = Buffer.from('\\.\n')

/** The schema version a backup was made at. */
export const versionOf = (head: BackupHead): number => Math.max(0, ...head.migrations.map((one) => one.version))

/** Rows in a piece of COPY text: a line end inside a value is written as `\n`, so each line end is the end of a row. */
export function countRows(chunk: Buffer): number {
  let rows = 0
  for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, at + 1)) rows += 1
  return rows
}
