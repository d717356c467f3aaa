import { LabError } from '@virtualpytest/shared'
import type { Database } from '../../db/database.ts'
import type { Mount } from '../../http/mount.ts'
import { type MountedProgram, plainPage } from '../../http/mounted-program/index.ts'
import { signInPage } from '../../http/sign-in-page.ts'
import type { Job } from '../../jobs/runner.ts'
import { mountDashboardRoutes } from './dashboard.routes.ts'
import { endLongReadersJob } from './end-long-readers.job.ts'
import { readOrCreateSecrets } from './grafana-secrets.ts'
import { organizationHeader, withheldHeaders } from './identity.ts'
import { createOrganizations } from './organizations.ts'
import { sessionCookie } from './session-cookie.ts'
import { createSignOn, type SignOnOptions } from './sign-on.ts'
import { signOnKeyOf } from './sign-on-key.ts'
import { createTeamTurns } from './team-turns.ts'

/*
 * Grafana behind this server: its program under /grafana, the sign-on of people, and the database user it reads with.
 * Whether it runs is not our affair: a supervisor starts it with the files of `configureGrafana`.
 */

export interface DashboardOptions extends Pick<SignOnOptions, 'authMode' | 'resolveCaller' | 'findToken'> {
  db: Database
  /** Where the data sources of teams find it. */
  databaseUrl: string
  mode: 'off' | 'embedded' | 'external'
  /** Where an external Grafana is. It must serve from the path /grafana and believe the identity headers of this server only. */
  externalUrl: string | undefined
  /** Where the embedded one listens, on 127.0.0.1. */
  port: number
  /** Keeps the secrets. */
  folder: string
  publicUrl: () => string
  /** Origins of web apps that show dashboards in frames. */
  frameOrigins: readonly string[]
  trustedProxies: number
  /** Database connections that the embedded one may have for all teams together. */
  connections: number
  /** Runs a job now. */
  wake: (job: string) => void
  /** How often the organizations are compared with the teams. */
  organizationsEveryMs?: number
}

export interface Dashboards {
  program: MountedProgram
  mountRoutes: (mount: Mount) => void
  /** Once the database is migrated: the database user of the embedded Grafana. Repeatable. */
  prepare: () => Promise<void>
  jobs: Job[]
}

const title = 'Dashboards'
const signInText = 'Sign in with your API token of this server.'
const advice = 'Whoever runs the server switches them on with <code>GRAFANA=embedded</code>.'

export function createDashboards(options: DashboardOptions): Dashboards {
  const { mode, publicUrl, frameOrigins, folder } = options
  const target = targetOf(options)
  const secrets = mode === 'off' ? undefined : readOrCreateSecrets(folder)
  const sessionKey = secrets?.sessionKey ?? ''
  const organizations =
    mode === 'embedded' && secrets && target
      ? createOrganizations({ ...options, address: target, secrets, everyMs: options.organizationsEveryMs ?? 5000 })
      : undefined
  const signOn = createSignOn({
    ...options,
    sessionKey,
    teams: organizations && { key: signOnKeyOf(sessionKey), organizationOf },
  })

  const turns = createTeamTurns({ connections: options.connections })

  function organizationOf(teamId: string): number | undefined {
    const number = organizations?.numberOf(teamId)
    // A team that was made a moment ago.
    if (number === undefined && organizations) options.wake(organizations.job.name)
    return number
  }

  return {
    program: {
      prefix: '/grafana',
      title,
      target: () => target,
      authorize: (request) => signOn.authorize(request),
      turn: async (request, identity) =>
        organizations && turns.concerns(request) ? turns.enter(identity[organizationHeader] ?? '') : undefined,
      unavailable: (reason) =>
        new LabError('grafana_unavailable', {
          text:
            reason === 'off' ? 'Dashboards are switched off on this server.' : 'The dashboards cannot be reached at the moment.',
        }),
      frameOrigins,
      page(error) {
        if (error.code === 'unauthorized')
          return signInPage({ title, text: signInText, door: '/server/grafana-session', frameOrigins })
        return mode === 'off' && error.code === 'grafana_unavailable'
          ? plainPage(title, error, { frameOrigins, advice })
          : undefined
      },
      withheldHeaders,
      withheldCookies: [sessionCookie],
      trustedProxies: options.trustedProxies,
    },
    mountRoutes: (mount) => mountDashboardRoutes(mount, { signOn, publicUrl, isCrossSite: frameOrigins.length > 0 }),
    async prepare() {
      await organizations?.prepare()
    },
    jobs: organizations ? [endLongReadersJob({ everyMs: 5000 }), organizations.job] : [],
  }
}

function targetOf({ mode, port, externalUrl }: DashboardOptions): URL | undefined {
  if (mode === 'embedded') return new URL(`http://127.0.0.1:${port}/`)
  return mode === 'external' && externalUrl !== undefined ? new URL(externalUrl) : undefined
}
