import { LabError } from '@virtualpytest/shared'
import { z } from 'zod'
import { ConfigError, readConfig } from '../config.ts'
import { BackupError } from '../db/backup/index.ts'
import { DatabaseUnavailable, type Log } from '../db/database.ts'
import { EmbeddedPostgresError } from '../db/embedded/index.ts'
import { MigrationError } from '../db/migrate.ts'
import { hintFor, reasonOf } from '../db/unreachable.ts'
import { backup, listVerified, type MaintenanceContext, restore } from './backups.ts'
import { examine } from './examine.ts'

/*
 * Work on the database and the machine of a server, beside the server: what `vpt backup`, `vpt restore`, `vpt backups` and
 * `vpt doctor` start. It takes the settings of the server from the environment, one order as JSON on standard input, and
 * writes JSON lines: `{"progress":...}` while it works, then `{"result":...}` or `{"error":...,"hints":[...]}`.
 */

const Order = z.discriminatedUnion('do', [
  z.object({ do: z.literal('backup'), out: z.string().optional() }),
  z.object({ do: z.literal('restore'), file: z.string(), replace: z.boolean() }),
  z.object({ do: z.literal('list'), verify: z.boolean() }),
  z.object({ do: z.literal('examine') }),
])

const say = (line: object): boolean => process.stdout.write(`${JSON.stringify(line)}\n`)
const silent: Log = { debug() {}, info() {}, warn() {}, error() {} }

const stopping = new AbortController()
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => stopping.abort())

try {
  const order = Order.parse(JSON.parse(await readInput()))
  const context: MaintenanceContext = {
    config: readConfig(process.env),
    log: silent,
    signal: stopping.signal,
    progress: (text) => void say({ progress: text }),
  }
  say({ result: await carryOut(order, context) })
} catch (error) {
  process.exitCode = 1
  say(stopping.signal.aborted ? { error: 'Stopped. Nothing was changed.', hints: [] } : explain(error))
}

function carryOut(order: z.output<typeof Order>, context: MaintenanceContext): Promise<object> {
  switch (order.do) {
    case 'backup':
      return backup(context, order.out)
    case 'restore':
      return restore(context, order.file, order.replace)
    case 'list':
      return listVerified(context, order.verify)
    case 'examine':
      return examine(context)
  }
}

function explain(error: unknown): { error: string; hints: string[] } {
  if (error instanceof DatabaseUnavailable) {
    const hint = hintFor(process.env.DATABASE_URL ?? '', error.cause)
    return {
      error: `The database cannot be reached: ${reasonOf(error.cause)}`,
      hints:
        hint === undefined ? ['Which database: DATABASE_URL, or the embedded one below DATA_DIR, as for the server.'] : [hint],
    }
  }
  const isExpected = [BackupError, ConfigError, EmbeddedPostgresError, LabError, MigrationError].some(
    (kind) => error instanceof kind,
  )
  const text = error instanceof Error ? error.message : 'unknown failure'
  return { error: isExpected ? text : `${text}${error instanceof Error && error.stack ? `\n${error.stack}` : ''}`, hints: [] }
}

async function readInput(): Promise<string> {
  let text = ''
  for await (const chunk of process.stdin.setEncoding('utf8')) text += String(chunk)
  return text
}
