import { startEmbeddedPostgres } from '../../../src/db/embedded/index.ts'
import { silentLog } from '../../test-cluster.ts'

// A server as far as the embedded database is concerned: starts it, says where it is, and stays. Standard input ends it.
const [dataDir = '', binaries] = process.argv.slice(2)
try {
  const postgres = await startEmbeddedPostgres({ dataDir, log: silentLog, binaries: binaries === 'npm' ? 'npm' : 'any' })
  process.stdout.write(`${JSON.stringify({ url: postgres.url, pid: postgres.pid, adopted: postgres.adopted })}\n`)
  process.stdin.resume()
  process.stdin.once('end', () => {
    postgres.stop().then(
      () => process.exit(0),
      () => process.exit(1),
    )
  })
} catch (error) {
  process.stdout.write(`${JSON.stringify({ error: error instanceof Error ? error.message : 'unknown' })}\n`)
  process.exitCode = 1
}
