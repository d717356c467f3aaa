import { createInterface } from 'node:readline'
import { pino } from 'pino'
import { buildApp } from '../../../src/app.ts'
import { readConfig } from '../../../src/config.ts'
import { openDatabase } from '../../../src/db/database.ts'

// The server as a process of its own with a grace of no time, for tests that look at expiry and change its clock from
// outside, or that give it other migrations: node quick-server.ts URL DATA_DIR [MIGRATIONS]. Prints its address and its clock
// once it listens, and ends with its standard input.
const [databaseUrl = '', dataDir = '', migrationsFolder] = process.argv.slice(2)
const config = readConfig({ SERVER_PORT: '0', DATA_DIR: dataDir, LOG_LEVEL: 'silent', SERVER_NAME: 'test' })
const log = pino({ level: 'silent' })
const db = openDatabase({ url: databaseUrl, log })
const timings = { sweepMs: 200, graceSeconds: 0 }
const server = await buildApp({
  config,
  db,
  databaseUrl,
  log,
  timings,
  checkAnswers: true,
  ...(migrationsFolder && { migrationsFolder }),
})
const url = await server.listen()
process.stdout.write(`${JSON.stringify({ url, now: Date.now() })}\n`)
createInterface({ input: process.stdin }).on('close', () => process.exit(0))
await server.bringUp()
