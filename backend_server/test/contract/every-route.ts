import { allRoutes, type Route } from '@virtualpytest/shared'

/** One route of the contract with its name, such as `runs.cancel`. */
export interface NamedRoute {
  name: string
  route: Route
}

export const everyRoute: NamedRoute[] = Object.entries(allRoutes).flatMap(([feature, routes]) =>
  Object.entries(routes).map(([name, route]) => ({ name: `${feature}.${name}`, route })),
)

/** Things that exist in the lab under test; what a route is asked about. */
export interface Facts {
  hostName: string
  deviceId: string
  runId: string
  artifactId: string
  tokenId: string
  leaseToken: number
}

export interface Sample {
  path: string
  body?: Record<string, unknown>
  /** A body that is not JSON. */
  raw?: string
  headers: Record<string, string>
}

export const nobody: Facts = {
  hostName: 'no-such-host',
  deviceId: 'device1',
  runId: '00000000-0000-4000-8000-000000000001',
  artifactId: '00000000-0000-4000-8000-000000000002',
  tokenId: '00000000-0000-4000-8000-000000000003',
  leaseToken: 1,
}

/** A well-formed request to a route of the contract. Fails for a route nobody has written one for yet. */
export function sampleRequest({ name, route }: NamedRoute, facts: Facts): Sample {
  const ids: Record<string, string> = {
    host_name: facts.hostName,
    device_id: facts.deviceId,
    run_id: facts.runId,
    task_id: facts.runId,
    artifact_id: facts.artifactId,
    token_id: facts.tokenId,
  }
  const path = route.path.replace(/\{(\w+)\}/g, (_, id: string) => encodeURIComponent(ids[id] ?? `no-sample-for-${id}`))
  const query = sampleQueries(facts)[name]
  const extra = name === 'run-agent.putArtifact' ? artifactParts(facts) : {}
  const body = sampleBodies(facts)[name]
  if (route.body && body === undefined) throw new Error(`every-route.ts has no sample body for ${name}`)
  return { path: query ? `${path}?${query}` : path, headers: {}, ...(body && { body }), ...extra }
}

const sampleQueries = ({ hostName, deviceId }: Facts): Record<string, string> => ({
  'hosts.getDeviceActions': new URLSearchParams({ host_name: hostName, device_id: deviceId }).toString(),
  'run-agent.putArtifact': 'kind=file&name=notes.txt',
  // A stream never ends; this room cannot be named, so the route answers at once.
  'events.stream': 'rooms=none',
})

const artifactParts = ({ hostName, leaseToken }: Facts) => ({
  raw: 'some bytes',
  headers: { 'content-type': 'text/plain', 'x-host-name': hostName, 'x-lease-token': String(leaseToken) },
})

function sampleBodies({ hostName, deviceId, runId, leaseToken }: Facts): Record<string, Record<string, unknown>> {
  const target = { host_name: hostName, device_id: deviceId }
  return {
    'hosts.register': { host_name: hostName, host_url: 'http://127.0.0.1:1', devices: [{ device_id: deviceId }] },
    'hosts.ping': { host_name: hostName, system_stats: {} },
    'hosts.unregister': { host_name: hostName },
    'hosts.addHost': { host_name: hostName },
    'devices.replace': { flags: ['sample'] },
    'control.takeControl': { ...target, session_id: 'sample', user_id: 'sample', purpose: 'sample' },
    'control.releaseControl': { ...target, session_id: 'sample' },
    'control.checkLock': target,
    'control.forceUnlock': { ...target, reason: 'sample' },
    'runs.execute': { ...target, script_name: 'zapping.ts', parameters: '--max 1', timeout_seconds: 60 },
    'runs.cancel': { reason: 'sample' },
    'runs.check': { checked: true, check_type: 'manual' },
    'runs.discard': { discard: true, discard_comment: 'sample' },
    'run-agent.progress': {
      host_name: hostName,
      token: leaseToken,
      steps: [{ position: 1, name: 'sample', started_at: '2026-01-01T00:00:00Z' }],
      log: { from: 0, lines: ['sample'] },
    },
    'run-agent.taskComplete': { task_id: runId, host_name: hostName, result: { exit_code: 0, stdout: 'sample' } },
    'scripts.analyze': { script_name: 'zapping.ts' },
    'tokens.create': { name: 'sample', role: 'viewer', expires_in_days: 1 },
    'teams.create': { name: 'sample', description: 'sample' },
  }
}
