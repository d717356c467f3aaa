import { alertRoutes } from './alerts/index.ts'
import { actionRoutes, builderRoutes, verificationRoutes } from './batches/index.ts'
import { controlRoutes } from './control/index.ts'
import { dashboardRoutes } from './dashboards/index.ts'
import { avRoutes, desktopRoutes, monitoringRoutes, powerRoutes, remoteRoutes, webRoutes } from './device-calls/index.ts'
import { deviceFlagRoutes, deviceHealthRoutes, deviceRoutes } from './devices/index.ts'
import { eventRoutes } from './events/index.ts'
import { healthRoutes } from './health/index.ts'
import { hostRoutes } from './hosts/index.ts'
import { leaseRoutes } from './leases/index.ts'
import { mediaRoutes } from './media/index.ts'
import { programRoutes } from './programs/index.ts'
import { referenceRoutes } from './references/index.ts'
import type { Route } from './route.ts'
import { runAgentRoutes, runRoutes } from './runs/index.ts'
import { scriptRoutes } from './scripts/index.ts'
import { signInRoutes } from './sign-in/index.ts'
import { teamRoutes } from './teams/index.ts'
import { tokenRoutes } from './tokens/index.ts'

/** The whole contract by feature: what OpenAPI, the server's route check and the tests over every route read. */
export const allRoutes: Record<string, Record<string, Route>> = {
  health: healthRoutes,
  hosts: hostRoutes,
  devices: deviceFlagRoutes,
  'device-holders': deviceRoutes,
  'device-health': deviceHealthRoutes,
  control: controlRoutes,
  leases: leaseRoutes,
  remote: remoteRoutes,
  av: avRoutes,
  power: powerRoutes,
  web: webRoutes,
  desktop: desktopRoutes,
  monitoring: monitoringRoutes,
  action: actionRoutes,
  verification: verificationRoutes,
  builder: builderRoutes,
  references: referenceRoutes,
  media: mediaRoutes,
  runs: runRoutes,
  'run-agent': runAgentRoutes,
  scripts: scriptRoutes,
  alerts: alertRoutes,
  events: eventRoutes,
  dashboards: dashboardRoutes,
  'sign-in': signInRoutes,
  tokens: tokenRoutes,
  teams: teamRoutes,
  programs: programRoutes,
}
