import { spawnSync } from 'node:child_process'
import type { TestContext } from 'node:test'
import { defaultTeamId } from '@virtualpytest/shared'
import { inTransaction } from '../../src/db/database.ts'
import { createToken } from '../../src/features/tokens/index.ts'
import { openServerSlot, type ServerSlot } from '../reliability/server-process.ts'
import { startNginx } from '../start-nginx.ts'
import { createTestDatabase } from '../test-db.ts'
import { until } from '../until.ts'
import { type AgentSlot, openAgentSlot } from './agent-slot.ts'
import { createPerson, type Person } from './person.ts'

export type Topology = 'direct' | 'nginx'
/** How the server reaches a host: by its URL, or over the link that the host opened. */
export const directions = ['url', 'link'] as const
export type Direction = (typeof directions)[number]

export interface TopologyLab {
  /** Where people and hosts find the server: itself, or nginx before it. */
  url: string
  server: ServerSlot
  agents: Record<Direction, AgentSlot>
  people: { ann: Person; bob: Person }
}

const apiKey = 'shared-key-of-this-lab'
const devices = { DEVICE1_NAME: 'Box', DEVICE1_MODEL: 'stb', DEVICE1_DRIVER: 'sim', HOST_MODEL: 'web' }

/** The programs of a lab as processes: the server, nginx before it if asked for, and two hosts with a box and a browser each. */
export async function startTopology(t: TestContext, topology: Topology): Promise<TopologyLab> {
  const { url: databaseUrl, db } = await createTestDatabase(t)
  const server = await openServerSlot(t, {
    databaseUrl: () => databaseUrl,
    env: {
      LOG_LEVEL: 'warn',
      AUTH_MODE: 'required',
      HOST_REGISTRATION: 'key',
      API_KEY: apiKey,
      TOPOLOGY: topology,
      GRAFANA: 'off',
    },
  })
  server.start()
  await server.waitUntilReady()
  const url = topology === 'nginx' ? await startNginx(t, server.url) : server.url
  const person = async (name: string): Promise<Person> => {
    const made = await inTransaction(db, (tx) =>
      createToken(tx, { teamId: defaultTeamId, name, role: 'tester', days: 1, createdBy: null }),
    )
    return createPerson({ name, token: made.secret, url })
  }
  const agent = (hostName: string, env: Record<string, string>) =>
    openAgentSlot(t, { hostName, serverUrl: url, env: { ...devices, API_KEY: apiKey, ...env } })
  const lab: TopologyLab = {
    url,
    server,
    agents: {
      url: await agent('url-host', { LINK: 'off' }),
      // Port 1 of this machine: whoever calls it is refused at once.
      link: await agent('link-host', { LINK: 'on', HOST_URL: 'http://127.0.0.1:1' }),
    },
    people: { ann: await person('ann'), bob: await person('bob') },
  }
  for (const direction of directions) lab.agents[direction].start()
  for (const direction of directions) await untilDriven(lab, lab.agents[direction])
  return lab
}

/** A host registers before its link is up. */
export const untilDriven = ({ people }: TopologyLab, agent: AgentSlot): Promise<true> =>
  until(`${agent.hostName} can be driven`, async () => {
    const { status } = await people.ann.post('power/getStatus', { host_name: agent.hostName, device_id: 'device1' })
    return status === 200 || undefined
  }).catch((error: unknown) => {
    throw new Error(`${String(error)}\n${agent.output()}`)
  })

/** Why this machine cannot run the whole of it, in words for a skipped test; false when it can. */
export function cannotRun(topology: Topology): string | false {
  const programs = ['ffmpeg', 'tesseract', 'chromium', ...(topology === 'nginx' ? ['nginx'] : [])]
  const missing = programs.filter((name) => spawnSync('sh', ['-c', `command -v ${name}`]).status !== 0)
  return missing.length > 0 && `needs ${missing.join(', ')}`
}
