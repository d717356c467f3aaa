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
  executionId: string
  referenceId: string
  leaseId: string
  askId: string
  alertId: string
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
  executionId: '00000000-0000-4000-8000-000000000004',
  referenceId: '00000000-0000-4000-8000-000000000005',
  leaseId: '00000000-0000-4000-8000-000000000006',
  askId: '00000000-0000-4000-8000-000000000007',
  alertId: '00000000-0000-4000-8000-000000000008',
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
    execution_id: facts.executionId,
    reference_id: facts.referenceId,
    alert_id: facts.alertId,
    moment: 'start',
    kind: 'image',
    capture: 'capture1',
    folder: 'captures',
    file: 'verification_source.jpg',
    lease_id: facts.leaseId,
    ask_id: facts.askId,
  }
  // A file, or the folder of one.
  if (route.path.endsWith('{folder}')) ids.folder = 'live.mjpeg'
  ids.name = route.path.endsWith('{file}') ? 'cropped' : 'verification_source.jpg'
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
  'builder.blocks': new URLSearchParams({ host_name: hostName, device_id: deviceId }).toString(),
  // A stream never ends; this room cannot be named, so the route answers at once.
  'events.stream': 'rooms=none',
})

const artifactParts = ({ hostName, leaseToken }: Facts) => ({
  raw: 'some bytes',
  headers: { 'content-type': 'text/plain', 'x-host-name': hostName, 'x-lease-token': String(leaseToken) },
})

function sampleBodies({ hostName, deviceId, runId, leaseToken }: Facts): Record<string, Record<string, unknown>> {
  const target = { host_name: hostName, device_id: deviceId }
  const command = { ...target, command: 'press_key', params: { key: 'OK' } }
  const image_source_url = '/host/stream/capture1/captures/capture_000000001.jpg'
  const area = { x: 1, y: 2, width: 30, height: 40 }
  const reference = { reference_name: 'sample', userinterface_name: 'sample', area }
  return {
    'remote.executeCommand': command,
    'remote.tapCoordinates': { ...target, x: 1, y: 1 },
    'remote.takeScreenshot': target,
    'remote.screenshotAndDump': target,
    'remote.dumpUi': target,
    'remote.getApps': target,
    'av.takeScreenshot': target,
    'av.saveScreenshot': { ...target, filename: 'sample', userinterface_name: 'sample' },
    'av.getStreamUrl': target,
    'av.getSegmentCapture': { ...target, segment_number: 1 },
    'av.restartStream': { ...target, quality: 'sd' },
    'power.getStatus': target,
    'power.executeCommand': { ...target, command: 'reboot' },
    'desktop.bash': command,
    'desktop.pyautogui': command,
    'desktop.allowShell': { allowed: false, reason: 'sample' },
    'web.executeCommand': command,
    'web.navigateToUrl': { ...target, url: 'https://example.org' },
    'web.openBrowser': target,
    'web.closeBrowser': target,
    'web.getPageInfo': target,
    'web.getStatus': target,
    'web.taskComplete': { task_id: runId, result: { success: true } },
    'monitoring.latestJson': target,
    'monitoring.liveEvents': target,
    'monitoring.listCaptures': { ...target, limit: 10 },
    'action.executeBatch': { ...target, actions: [{ command: 'press_key', params: { key: 'OK' } }] },
    'action.execute': { ...target, action: { command: 'press_key' } },
    'verification.executeBatch': {
      ...target,
      verifications: [{ command: 'waitForTextToAppear', verification_type: 'text', userinterface_name: 'sample' }],
    },
    'verification.executeOne': { ...target, verification: { command: 'waitForImageToAppear', params: { image_path: 'sample' } } },
    'builder.execute': { ...target, command: 'sleep', params: { duration: 0.1 } },
    'references.cropImage': { ...target, ...reference, image_source_url },
    'references.processImage': { ...target, image_source_url },
    'references.detectText': { ...target, image_source_url, area },
    'references.saveImage': { ...target, ...reference, image_source_url },
    'references.saveText': { ...target, ...reference, text: 'sample' },
    'references.list': { userinterface_name: 'sample' },
    'hosts.register': { host_name: hostName, host_url: 'http://127.0.0.1:1', devices: [{ device_id: deviceId }] },
    'hosts.ping': { host_name: hostName, system_stats: {} },
    'hosts.unregister': { host_name: hostName },
    'hosts.addHost': { host_name: hostName },
    'devices.replace': { flags: ['sample'] },
    'control.takeControl': { ...target, session_id: 'sample', user_id: 'sample', purpose: 'sample' },
    'control.releaseControl': { ...target, session_id: 'sample' },
    'control.checkLock': target,
    'control.forceUnlock': { ...target, reason: 'sample' },
    'leases.heartbeat': {},
    'leases.extend': { seconds: 60 },
    'leases.leave': {},
    'leases.answerAsk': { give: false, message: 'sample' },
    'leases.writeSettings': {},
    'device-holders.ask': { message: 'sample' },
    'device-holders.setStatus': { status: 'maintenance', reason: 'sample', force: true },
    'runs.execute': { ...target, script_name: 'zapping.ts', parameters: '--max 1', timeout_seconds: 60 },
    'alerts.report': {
      host_name: hostName,
      alerts: [
        {
          id: '00000000-0000-4000-8000-00000000000a',
          device_id: deviceId,
          type: 'freeze',
          status: 'active',
          consecutive_count: 30,
          started_at: '2026-01-01T00:00:00Z',
          ended_at: null,
          evidence: {},
        },
      ],
    },
    'alerts.check': { checked: true, check_type: 'manual' },
    'alerts.discard': { discard: true, discard_comment: 'sample' },
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
