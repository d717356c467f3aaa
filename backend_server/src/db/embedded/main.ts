import { pino } from 'pino'
import { becomePostgres } from './become-postgres.ts'
import { EmbeddedPostgresError } from './embedded-error.ts'
import { startEmbeddedPostgres } from './embedded-postgres.ts'

// The embedded database as a program of its own, for a supervisor: node dist/db/embedded/main.js FOLDER PORT
// It becomes PostgreSQL, which the supervisor then stops with SIGINT. Where that is not possible (as root), it lives as long as
// PostgreSQL does, ends it on SIGTERM or SIGINT, and adopts one that outlived the program before it.

// Written at once: what waits in a buffer would be lost when this process becomes another program.
const log = pino({ base: { service: 'postgres' }, timestamp: pino.stdTimeFunctions.isoTime }, pino.destination({ sync: true }))
const [dataDir, port] = process.argv.slice(2)
if (dataDir === undefined || !/^\d{1,5}$/.test(port ?? '')) {
  process.stderr.write('Usage: node dist/db/embedded/main.js FOLDER PORT\n')
  process.exit(2)
}

// A signal during the start must not leave PostgreSQL behind, so it waits for the start to end.
let isStopping = false
let asked: () => void = () => undefined
const stopAsked = new Promise<void>((resolve) => {
  asked = () => {
    isStopping = true
    resolve()
  }
})
for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, () => asked())

async function main(folder: string): Promise<void> {
  await becomePostgres({ dataDir: folder, log, port: Number(port), isStopping: () => isStopping })
  if (isStopping) process.exit(0)
  const embedded = await startEmbeddedPostgres({ dataDir: folder, log, port: Number(port), onExit: () => process.exit(1) })
  const alive = setInterval(() => undefined, 60_000)
  await stopAsked
  clearInterval(alive)
  await embedded.stop()
  process.exit(0)
}

// No top-level await: the container runs this bundled as one script.
main(dataDir).catch((error: unknown) => {
  log.fatal({}, error instanceof EmbeddedPostgresError ? error.message : String(error))
  process.exit(1)
})
