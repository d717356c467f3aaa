// One PostgreSQL for all tests of a run; each test clones its own database in it.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEmbeddedPostgres } from '../../backend_server/src/db/embedded/index.ts'

export interface TestDatabase {
  adminUrl: string
  stop(): Promise<void>
}

const quiet = { debug() {}, info() {}, warn() {}, error: (_fields: object, text: string) => console.error(`Database: ${text}`) }

export async function startTestDatabase(): Promise<TestDatabase> {
  const folder = mkdtempSync(join(tmpdir(), 'vpt-test-db-'))
  // What is in it need not survive anything, so it need not wait for the disk.
  const database = await startEmbeddedPostgres({ dataDir: join(folder, 'db'), log: quiet, fsync: false })
  return {
    adminUrl: database.superuserUrl,
    async stop() {
      await database.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
