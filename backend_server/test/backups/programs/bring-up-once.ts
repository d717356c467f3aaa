import { bringUpDatabase } from '../../../src/db/bring-up.ts'
import { backupBeforeMigration } from '../../../src/features/backups/index.ts'

// One server's start up to a current schema: node bring-up-once.ts URL MIGRATIONS BACKUPS. Prints states and applied files.
const [url = '', migrationsFolder = '', folder = ''] = process.argv.slice(2)
const say = (line: string): boolean => process.stdout.write(`${line}\n`)
const log = {
  debug() {},
  info: (fields: object, text: string) => void ('migration' in fields && say(`${text} ${String(fields.migration)}`)),
  warn() {},
  error() {},
}
const signal = new AbortController().signal
await bringUpDatabase({
  url,
  log,
  signal,
  migrationsFolder,
  onState: (text) => void say(`state ${text}`),
  beforeMigration: backupBeforeMigration({
    url,
    settings: { folder, keep: 20, product: '0.0.0-test' },
    mode: 'required',
    log,
    signal,
  }),
})
