// The schema as the migrations leave it: backend_server/schema.sql, so that a reviewer sees the difference that a migration
// makes, and the types that Kysely checks statements against. Both come from a database made for the purpose.
//
//   node -C source tools/dump-schema.ts [--check]
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { generate as generateTypes, PostgresDialect } from 'kysely-codegen'
import type pg from 'pg'
import { closeClient, connectClient } from '../backend_server/src/db/client.ts'
import { openDatabase } from '../backend_server/src/db/database.ts'
import { schemaName } from '../backend_server/src/db/pool.ts'
import { createDatabase, dropDatabase, silentLog, startTestCluster } from '../backend_server/test/test-cluster.ts'
import { repositoryRoot as root } from './files.ts'
import { dumpSchema } from './schema-text.ts'

const schemaFile = 'backend_server/schema.sql'
const typesFile = 'backend_server/src/db/schema.generated.ts'

/** Content of the generated files by path. The administrator's URL of a running server saves starting one. */
export async function generate(adminUrl?: string): Promise<Record<string, string>> {
  if (adminUrl !== undefined) return generateOn(adminUrl)
  const cluster = await startTestCluster()
  try {
    return await generateOn(cluster.adminUrl)
  } finally {
    await cluster.stop()
  }
}

async function generateOn(adminUrl: string): Promise<Record<string, string>> {
  const name = `vpt_schema_${process.pid}`
  const url = await createDatabase(adminUrl, name)
  try {
    return { [schemaFile]: await withClient(url, dumpSchema), [typesFile]: await typesOf(url) }
  } finally {
    await dropDatabase(adminUrl, name)
  }
}

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = await connectClient(url, { connectTimeoutMs: 10_000, queryTimeoutMs: 60_000 })
  try {
    return await work(client)
  } finally {
    await closeClient(client)
  }
}

async function typesOf(url: string): Promise<string> {
  const db = openDatabase({ url, log: silentLog })
  try {
    const text = await generateTypes({
      db: db.kysely,
      dialect: new PostgresDialect({ defaultSchemas: [schemaName] }),
      defaultSchemas: [schemaName],
      includePattern: `${schemaName}.*`,
      // What backend_server/src/db/value-types.ts makes of these columns.
      typeMapping: { int8: 'number', timestamptz: 'string', date: 'string' },
      outFile: null,
    })
    return format(text)
  } finally {
    await db.close()
  }
}

/** As `npm run format` would leave it. */
function format(text: string): string {
  const biome = join(root, 'node_modules/.bin/biome')
  const result = spawnSync(biome, ['check', '--write', `--stdin-file-path=${typesFile}`], {
    cwd: root,
    input: text,
    encoding: 'utf8',
  })
  if (result.status !== 0) throw new Error(`biome cannot format ${typesFile}: ${result.stderr}`)
  return result.stdout
}

/** One sentence and the first differing line for each generated file that is not up to date. */
export async function checkSchema(adminUrl?: string): Promise<string[]> {
  const problems: string[] = []
  for (const [file, wanted] of Object.entries(await generate(adminUrl))) {
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
