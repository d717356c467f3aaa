import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { TestContext } from 'node:test'
import { defaultTeamId, type Role } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { buildApp, type LabServer } from '../src/app.ts'
import { type Config, readConfig } from '../src/config.ts'
import { type Database, inTransaction, openDatabase } from '../src/db/database.ts'
import { createToken } from '../src/features/tokens/index.ts'
import type { Timings } from '../src/timings.ts'
import { FakeHost, type FakeHostOptions } from './fakes/fake-host.ts'
import { silentLog } from './test-cluster.ts'
import { createTestDatabase, type TestDatabase } from './test-db.ts'
import { testLog } from './test-log.ts'
import { until } from './until.ts'

export { until }

export interface Answer<Body = Record<string, unknown>> {
  status: number
  /** What the test expects; the server under test compares each answer with its contract itself. */
  body: Body
  headers: Headers
  text: string
}

export interface CallOptions {
  body?: unknown
  token?: string
  headers?: Record<string, string>
  raw?: string
}

export interface Lab {
  url: string
  server: LabServer
  db: Database
  config: Config
  databaseUrl: string
  call: <Body = Record<string, unknown>>(method: string, path: string, options?: CallOptions) => Promise<Answer<Body>>
  get: <Body = Record<string, unknown>>(path: string, options?: CallOptions) => Promise<Answer<Body>>
  post: <Body = Record<string, unknown>>(path: string, body?: unknown, options?: CallOptions) => Promise<Answer<Body>>
  /** The fake hosts so far, in the order in which they were added. */
  hosts: readonly FakeHost[]
  addHost: (options?: Partial<FakeHostOptions>) => Promise<FakeHost>
  /** An API token; of the default team unless another is named. */
  addToken: (name: string, role: Role, teamId?: string) => Promise<{ id: string; token: string }>
  /** A team of its own with an API token of the given role. */
  addTeam: (name: string, role?: Role) => Promise<{ teamId: string; token: string }>
  /** Moves a lease's end into the past, as if the time had gone by. */
  expireLease: (leaseId: string) => Promise<void>
  /** Stops this server and starts another one on the same database and folder. */
  restart: () => Promise<void>
}

export interface LabOptions {
  env?: Record<string, string>
  timings?: Partial<Timings>
  /** Default 1: one fake host called lab-1. */
  hosts?: number
  host?: Partial<FakeHostOptions>
  /** A database that the test owns, in place of a copy of the template. */
  databaseUrl?: string
}

/** The real server on a real socket and a database of its own, with fake hosts that speak the real protocol. */
export async function startLab(t: TestContext, options: LabOptions = {}): Promise<Lab> {
  const hosts: FakeHost[] = []
  const servers: LabServer[] = []
  // Hooks run in the order of their registration: programs end before their database and their folder go.
  t.after(async () => {
    for (const host of hosts) await host.kill()
    for (const server of servers) await server.stop()
  })
  const database = options.databaseUrl === undefined ? await createTestDatabase(t) : openOwnDatabase(t, options.databaseUrl)
  const dataDir = await mkdtemp(path.join(tmpdir(), 'vpt-lab-'))
  t.after(() => rm(dataDir, { recursive: true, force: true }))
  const config = readConfig({ SERVER_PORT: '0', DATA_DIR: dataDir, LOG_LEVEL: 'silent', SERVER_NAME: 'test', ...options.env })
  const log = testLog
  const timings = { sweepMs: 200, graceSeconds: 0, databaseWatchMs: 500, ...options.timings }

  async function startServer(): Promise<{ server: LabServer; url: string }> {
    const db = openDatabase({ url: database.url, log })
    const server = await buildApp({ config, db, databaseUrl: database.url, log, timings, checkAnswers: true })
    servers.push(server)
    const url = await server.listen()
    await server.bringUp()
    return { server, url }
  }

  const first = await startServer()
  const lab: Lab = {
    url: first.url,
    server: first.server,
    db: database.db,
    config,
    databaseUrl: database.url,
    async call<Body>(method: string, path_: string, { body, token, headers, raw }: CallOptions = {}): Promise<Answer<Body>> {
      const response = await fetch(`${lab.url}${path_}`, {
        method,
        redirect: 'manual',
        // Longer than any answer may take: a test that hangs should say where.
        signal: AbortSignal.timeout(60_000),
        headers: {
          ...((body !== undefined || raw !== undefined) && { 'content-type': 'application/json' }),
          ...(token !== undefined && { authorization: `Bearer ${token}` }),
          ...headers,
        },
        ...((body !== undefined || raw !== undefined) && { body: raw ?? JSON.stringify(body) }),
      })
      const text = await response.text()
      return { status: response.status, body: parseBody(text) as Body, headers: response.headers, text }
    },
    get: <Body>(path_: string, callOptions?: CallOptions) => lab.call<Body>('GET', path_, callOptions),
    post: <Body>(path_: string, body?: unknown, callOptions?: CallOptions) =>
      lab.call<Body>('POST', path_, { body: body ?? {}, ...callOptions }),
    hosts,
    async addHost(hostOptions = {}) {
      const host = new FakeHost({
        name: `lab-${hosts.length + 1}`,
        serverUrl: () => lab.url,
        beatMs: 1000,
        ...options.host,
        ...hostOptions,
      })
      hosts.push(host)
      return host.start()
    },
    async addTeam(name, role = 'admin') {
      return inTransaction(database.db, async (tx) => {
        const teamId = crypto.randomUUID()
        await sql`insert into teams (id, name) values (${teamId}, ${name})`.execute(tx.kysely)
        const { secret } = await createToken(tx, { teamId, name: `${name} token`, role, days: 1, createdBy: null })
        return { teamId, token: secret }
      })
    },
    async addToken(name, role, teamId = defaultTeamId) {
      return inTransaction(database.db, async (tx) => {
        const { secret, token } = await createToken(tx, { teamId, name, role, days: 1, createdBy: null })
        return { id: token.id, token: secret }
      })
    },
    async expireLease(leaseId) {
      await sql`update leases set expires_at = now() - interval '1 second' where id = ${leaseId}`.execute(database.db.kysely)
    },
    async restart() {
      await lab.server.stop()
      servers.pop()
      const next = await startServer()
      lab.server = next.server
      lab.url = next.url
    },
  }
  for (let index = 0; index < (options.hosts ?? 1); index += 1) await lab.addHost()
  return lab
}

function openOwnDatabase(t: TestContext, url: string): TestDatabase {
  const db = openDatabase({ url, log: silentLog })
  t.after(() => db.close())
  return { url, db }
}

function parseBody(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return {}
  }
}
