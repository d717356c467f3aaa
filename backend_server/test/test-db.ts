import { after, type TestContext } from 'node:test'
import { type Database, openDatabase } from '../src/db/database.ts'
import { createDatabase, dropDatabase, silentLog, startTestCluster, type TestCluster } from './test-cluster.ts'

/*
 * One database per test, on one PostgreSQL per test run: the runner starts it and names it in TEST_DATABASE_ADMIN_URL;
 * a test file that is run alone starts its own. A failed test keeps its database and says where it is.
 */

export interface TestDatabase {
  url: string
  db: Database
}

let cluster: Promise<TestCluster> | undefined
let keptOne = false
let counter = 0

after(async () => {
  const started = await cluster
  await started?.stop({ keep: keptOne })
  if (started && keptOne) process.stderr.write(`The PostgreSQL files of the failed tests are kept in ${started.dataDir}\n`)
})

export async function createTestDatabase(t: TestContext, options: { empty?: boolean } = {}): Promise<TestDatabase> {
  const adminUrl = await testAdminUrl()
  counter += 1
  const name = `vpt_test_${process.pid}_${counter}`
  const url = await createDatabase(adminUrl, name, options)
  const db = openDatabase({ url, log: silentLog })
  t.after(async () => {
    await db.close()
    // In Node since 20.12; missing in its published types.
    if ('passed' in t && t.passed === true) {
      await dropDatabase(adminUrl, name)
      return
    }
    keptOne = true
    t.diagnostic(`database kept: ${name} on ${new URL(adminUrl).host}`)
  })
  return { url, db }
}

/** Superuser on the cluster of this test run. */
export async function testAdminUrl(): Promise<string> {
  const given = process.env.TEST_DATABASE_ADMIN_URL
  if (given) return given
  cluster ??= startTestCluster()
  return (await cluster).adminUrl
}
