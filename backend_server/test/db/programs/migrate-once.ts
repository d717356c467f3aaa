import { DatabaseUnavailable } from '../../../src/db/database.ts'
import { migrate } from '../../../src/db/migrate.ts'
import { silentLog } from '../../test-cluster.ts'

// One server start as far as migrations are concerned.
const [url = '', folder = ''] = process.argv.slice(2)
const onProgress = (done: number, total: number, name: string): void => {
  process.stdout.write(`progress ${done}/${total} ${name}\n`)
}
for (;;) {
  try {
    const result = await migrate({ url, folder, log: silentLog, onProgress })
    process.stdout.write(`done ${JSON.stringify(result)}\n`)
    break
  } catch (error) {
    // A start goes on trying.
    if (!(error instanceof DatabaseUnavailable)) throw error
  }
}
