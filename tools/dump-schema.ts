// The schema as the migrations leave it: backend_server/schema.sql, so that a reviewer sees the difference that a migration
// makes, and the types that Kysely checks statements against. Both come from a database made for the purpose.
//
//   node -C source tools/dump-schema.ts [--check]
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generate as generateTypes, PostgresDialect } from 'kysely-codegen'
import type pg from 'pg'
import { closeClient, connectClient } from '../backend_server/src/db/client.ts'
import { type Log, openDatabase } from '../backend_server/src/db/database.ts'
import { startEmbeddedPostgres } from '../backend_server/src/db/embedded/index.ts'
import { migrate } from '../backend_server/src/db/migrate.ts'
import { schemaName } from '../backend_server/src/db/pool.ts'
import { repositoryRoot as root } from './files.ts'
import { dumpSchema } from './schema-text.ts'

const schemaFile = 'backend_server/schema.sql'
const log: Log = { debug() {}, info() {}, warn() {}, error: (fields, text) => console.error(text, fields) }
const typesFile = 'backend_server/src/db/schema.generated.ts'

/** Content of the generated files by path. */
export async function generate(binaries: ProgramSource = 'any'): Promise<Record<string, string>> {
  return withMigratedDatabase(binaries, async (url) => {
    await withClient(url, refuseOpenTables)
    return { [schemaFile]: await withClient(url, dumpSchema), [typesFile]: await typesOf(url) }
  })
}

/** Databases exist whose public role is granted every new table: without row security it could read it. */
async function refuseOpenTables(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ name: string }>(
    `select c.oid::regclass::text as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relkind in ('r', 'p') and not c.relrowsecurity and n.nspname not like 'pg\\_%' and n.nspname <> 'information_schema'`,
  )
  if (rows.length > 0)
    throw new Error(
      `say "alter table ... enable row level security" in a migration for: ${rows.map(({ name }) => name).join(', ')}`,
    )
}

type ProgramSource = 'system' | 'npm' | 'any'

/** A PostgreSQL that exists only for `work`, with the schema of the migrations in it. */
export async function withMigratedDatabase<T>(binaries: ProgramSource, work: (url: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'vpt-schema-'))
  try {
    const postgres = await startEmbeddedPostgres({ dataDir: join(folder, 'data'), log, fsync: false, binaries })
    try {
      await migrate({ url: postgres.url, log })
      return await work(postgres.url)
    } finally {
      await postgres.stop()
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

export async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = await connectClient(url, { connectTimeoutMs: 10_000, queryTimeoutMs: 60_000 })
  try {
    return await work(client)
  } finally {
    await closeClient(client)
  }
}

async function typesOf(url: string): Promise<string> {
  const db = openDatabase({ url, log })
  try {
    return await generateTypes({
      db: db.kysely,
      dialect: new PostgresDialect({ defaultSchemas: [schemaName] }),
      defaultSchemas: [schemaName],
      includePattern: `${schemaName}.*`,
      // What backend_server/src/db/value-types.ts makes of these columns.
      typeMapping: { int8: 'number', timestamptz: 'string', date: 'string' },
      outFile: null,
    })
  } finally {
    await db.close()
  }
}

/** One sentence and the first differing line for each generated file that is not up to date. */
export async function checkSchema(): Promise<string[]> {
  const problems: string[] = []
  for (const [file, wanted] of Object.entries(await generate())) {
    const found = readFileSync(join(root, file), { encoding: 'utf8', flag: 'a+' })
    if (found === wanted) continue
    const [is, shouldBe] = [found.split('\n'), wanted.split('\n')]
    const line = Math.max(
      is.findIndex((text, index) => text !== shouldBe[index]),
      0,
    )
    problems.push(
      `${file} is not what the migrations make, from line ${line + 1} on:\n  is        ${is[line] ?? ''}\n  should be ${shouldBe[line] ?? ''}`,
    )
  }
  return problems
}

async function main(): Promise<void> {
  if (process.argv.includes('--check')) {
    const problems = await checkSchema()
    for (const problem of problems) console.error(problem)
    if (problems.length > 0) process.exitCode = 1
    return
  }
  for (const [file, text] of Object.entries(await generate())) {
    writeFileSync(join(root, file), text)
    console.log(`wrote ${file}`)
  }
}

if (import.meta.main) await main()
