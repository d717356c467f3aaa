import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

/** One file of the migrations folder, such as `0007_lease_token.sql`. */
export interface MigrationFile {
  version: number
  name: string
  file: string
  text: string
  checksum: string
  /** `--! breaking`: a server that does not know this migration must not run on the database. */
  breaking: boolean
  /** `--! no-transaction`: exactly one statement, such as `create index concurrently if not exists`, that refuses a transaction. */
  alone: boolean
}

export const migrationsFolder = fileURLToPath(new URL('../../migrations/', import.meta.url))

/** The files in order; versions count from 1 without gaps, so that a file forgotten in a merge is noticed. */
export function readMigrations(folder: string = migrationsFolder): MigrationFile[] {
  const files = readdirSync(folder)
    .filter((file) => file.endsWith('.sql'))
    .sort()
    .map((file) => readMigration(folder, file))
  for (const [index, one] of files.entries()) {
    if (one.version !== index + 1)
      throw new Error(`Migration ${one.file} should have the number ${String(index + 1).padStart(4, '0')}.`)
  }
  return files
}

function readMigration(folder: string, file: string): MigrationFile {
  const parts = /^(\d{4})_([a-z0-9_]+)\.sql$/.exec(file)
  if (!parts) throw new Error(`Migration ${file} should be named like 0007_lease_token.sql.`)
  // The same file has the same checksum after a checkout with other line ends.
  const text = readFileSync(path.join(folder, file), 'utf8').replaceAll('\r\n', '\n')
  const headers = [...text.matchAll(/^--!\s*(.*?)\s*$/gm)].map((match) => match[1])
  const unknown = headers.find((header) => header !== 'breaking' && header !== 'no-transaction')
  if (unknown !== undefined) throw new Error(`Migration ${file} has the unknown header "--! ${unknown}".`)
  if (/^\s*(begin|start transaction|commit|rollback)\s*;/im.test(text)) {
    throw new Error(`Migration ${file} controls the transaction itself. Each file runs in one transaction already.`)
  }
  return {
    version: Number(parts[1]),
    name: parts[2] ?? '',
    file,
    text,
    checksum: createHash('sha256').update(text).digest('hex'),
    breaking: headers.includes('breaking'),
    alone: headers.includes('no-transaction'),
  }
}
