import { createHash } from 'node:crypto'
import { defaultTeamId } from '@virtualpytest/shared'
import type { Database } from '../../db/database.ts'
import type { Job } from '../../jobs/runner.ts'
import { dataSourceModel, dataSourceOf } from './data-source.ts'
import { createGrafanaApi, type GrafanaApi, GrafanaApiError } from './grafana-api.ts'
import { type GrafanaSecrets, readerPassword } from './grafana-secrets.ts'
import { mostOrganizations } from './grafana-settings.ts'
import { furnishOrganization } from './organization-content.ts'
import { assignOrganizations, type Organization } from './organization-numbers.ts'
import { ensureReportRole, noteReadersSeen } from './report-role.ts'
import { signOnKeyOf } from './sign-on-key.ts'

/*
 * An organization of its own in Grafana for each team, with its own data source and therefore its own database user (N13).
 * The default team has the first one, which Grafana makes by itself and which is furnished by files; a file that names another
 * would stop Grafana's start, so the others are made over its HTTP API, again and again until all is as it should be.
 */

export interface OrganizationsOptions {
  db: Database
  databaseUrl: string
  address: URL
  secrets: GrafanaSecrets
  everyMs: number
  /** An organization that was right is looked at again after this time. */
  recheckMs?: number
}

interface Furnished {
  content: string
  at: number
}

export function createOrganizations(options: OrganizationsOptions) {
  const { db, databaseUrl, secrets, recheckMs = 300_000 } = options
  const api: GrafanaApi = createGrafanaApi({ address: options.address, key: signOnKeyOf(secrets.sessionKey) })
  const ready = new Map<string, number>([[defaultTeamId, 1]])
  const furnished = new Map<number, Furnished>()
  let lastTrouble = ''

  async function ensureReader(teamId: string) {
    const password = readerPassword(secrets, teamId)
    const user = await ensureReportRole(db, { teamId, installation: secrets.installation, password })
    // What many teams kept open while nobody looks would be more than a pooler gives.
    return dataSourceModel(dataSourceOf(databaseUrl, { user, password }), { keepsIdle: false })
  }

  async function furnish(organization: Organization, isNew: boolean): Promise<void> {
    const { number, teamId } = organization
    if (teamId === null || number === 1) return
    const before = furnished.get(number)
    if (before && !isNew && before.at > Date.now() - recheckMs) return
    const source = await ensureReader(teamId)
    const content = createHash('sha256').update(JSON.stringify(source)).digest('hex')
    await furnishOrganization(api, number, source, { isForced: before?.content !== content })
    furnished.set(number, { content, at: Date.now() })
    ready.set(teamId, number)
  }

  async function converge(): Promise<void> {
    const wanted = await assignOrganizations(db)
    await noteReadersSeen(db, secrets.installation)
    // As long as there is one team, nothing is asked of Grafana.
    if (wanted.length === 1) return
    const present = new Map((await listOrganizations(api)).map((one) => [one.id, one.name]))
    for (const { number, teamId } of wanted) {
      if (present.has(number)) continue
      // Grafana has lost its memory, or never had this one.
      furnished.delete(number)
      if (teamId !== null && number !== 1) ready.delete(teamId)
    }
    const troubles: unknown[] = []
    for (const organization of wanted.slice(0, mostOrganizations)) {
      const { number, teamName } = organization
      if (number === 1) continue
      const name = teamName === null ? `Former team (${number})` : `${teamName} (${number})`
      const found = present.get(number)
      if (found === undefined) await makeOrganization(api, number, name)
      else if (found !== name) await api.call('all', 'PUT', `/api/orgs/${number}`, { name })
      // The trouble of one team is not that of the next.
      await furnish(organization, found === undefined).catch((error: unknown) => troubles.push(error))
    }
    if (troubles.length > 0) throw troubles[0]
    if (wanted.length > mostOrganizations)
      throw new Error(`dashboards are for ${mostOrganizations} teams at most, and there are ${wanted.length}`)
  }

  const job: Job = {
    name: 'dashboards.organizations',
    everyMs: options.everyMs,
    // Each server has a Grafana of its own.
    leader: false,
    async run({ log }) {
      try {
        await converge()
        if (lastTrouble) log.info({}, 'the organizations of dashboards are complete')
        lastTrouble = ''
      } catch (error) {
        const trouble = error instanceof Error ? error.message : String(error)
        // A Grafana that starts slowly, or is down for hours, is told once.
        if (trouble !== lastTrouble) log.warn({ err: error }, 'the organizations of dashboards are not complete')
        lastTrouble = trouble
      }
    },
  }

  return {
    job,
    /** Of a team that can look at its dashboards now. */
    numberOf: (teamId: string): number | undefined => ready.get(teamId),
    /** The database user of the default team, whose data source is in a file. */
    prepare: async (): Promise<void> => {
      await ensureReader(defaultTeamId)
    },
    /** One round of the job; throws what went wrong. */
    converge,
  }
}
export type Organizations = ReturnType<typeof createOrganizations>

async function listOrganizations(api: GrafanaApi): Promise<{ id: number; name: string }[]> {
  return (await api.call<{ id: number; name: string }[]>('all', 'GET', `/api/orgs?perpage=${mostOrganizations * 2}`)) ?? []
}

/** Grafana counts upwards and never backwards, so they are made in the order of their numbers. */
async function makeOrganization(api: GrafanaApi, number: number, name: string): Promise<void> {
  const made = await api.call<{ orgId: number }>('all', 'POST', '/api/orgs', { name })
  if (made?.orgId !== number) {
    const advice = "Organizations were made by hand: remove Grafana's data folder and start it again, nothing in it is needed"
    throw new GrafanaApiError('POST', '/api/orgs', 200, `number ${made?.orgId} instead of ${number}. ${advice}`)
  }
  // Grafana makes whoever makes an organization its administrator, and the last one cannot leave. So the one that stays comes first.
  await api.call(number, 'GET', '/api/org')
}
