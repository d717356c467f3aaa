import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultTeamId } from '@virtualpytest/shared'
import { startLab, until } from '../start-lab.ts'
import { deviceCallCases } from './device-call-cases.ts'
import { assertShape, executionStart, executionStatus, type Shape } from './documented-shapes.ts'
import { everyRoute } from './every-route.ts'

type Body = Record<string, unknown>
const apiKey = 'shared-key-of-this-lab'

/** api-core.md 3 to 5: the routes with the rank [1] or [2], as the document has them. */
const documented = [
  ...['takeControl', 'releaseControl', 'checkLock', 'forceUnlock'].map((name) => `POST /server/control/${name}`),
  'GET /server/control/lockedDevices',
  ...['executeCommand', 'tapCoordinates', 'takeScreenshot', 'screenshotAndDump', 'dumpUi', 'getApps'].map(
    (name) => `POST /server/remote/${name}`,
  ),
  ...['takeScreenshot', 'getStreamUrl', 'getSegmentCapture', 'saveScreenshot'].map((name) => `POST /server/av/${name}`),
  ...['getStatus', 'executeCommand'].map((name) => `POST /server/power/${name}`),
  ...['latest-json', 'live-events'].map((name) => `POST /server/monitoring/${name}`),
  ...['image/cropImage', 'image/processImage', 'image/saveImage', 'text/detectText', 'text/saveText'].map(
    (name) => `POST /server/verification/${name}`,
  ),
  ...['executeCommand', 'navigateToUrl', 'openBrowser', 'closeBrowser', 'getPageInfo', 'getStatus', 'taskComplete'].map(
    (name) => `POST /server/web/${name}`,
  ),
  'POST /server/action/executeBatch',
  'POST /server/action/execute',
  'POST /server/verification/executeBatch',
  'POST /server/verification/getAllReferences',
  'POST /server/builder/execute',
  'GET /server/builder/blocks',
  ...['action', 'verification', 'builder'].map((kind) => `GET /server/${kind}/execution/{execution_id}/status`),
]

/** Routes that the web app does not have, each with where it is tested. */
const ownRoutes = new Map([
  ['PUT /server/hosts/{host_name}/shell', 'device-call-rights.test.ts'],
  ['GET /server/references/{reference_id}/image', 'references.test.ts'],
  ['POST /server/verification/{kind}/execute', '../links/evidence.test.ts'],
  // Rank [3], and refused until an administrator has allowed it.
  ['POST /server/desktop/bash/executeCommand', 'device-call-rights.test.ts'],
])

const press = { command: 'press_key', params: { key: 'OK', wait_time: 10 }, action_type: 'remote' }
const check = {
  command: 'waitForImageToAppear',
  verification_type: 'image',
  params: { image_path: 'logo' },
  userinterface_name: 'tv',
}
const target = { host_name: 'lab-1', device_id: 'device1' }

interface Step {
  route: string
  /** Fields in the query of a GET, else in the body. */
  fields: Body
  shape: Shape
  status?: number
  /** The host repeats nothing, so this route is called by it with its key. */
  asHost?: true
}

const begun = (route: string, fields: Body): Step => ({
  route: `POST /server/${route}`,
  fields: { ...target, ...fields },
  shape: executionStart,
})
/** Asked until it has ended, with the id of the step before. */
const ended = (kind: string): Step => ({
  route: `GET /server/${kind}/execution/{execution_id}/status`,
  fields: target,
  shape: { ...executionStatus, result: 'object' },
})

/** Sections 3 and 5, and what section 4 has beside plain calls, in the order of a person's work. */
const walk: Step[] = [
  {
    route: 'POST /server/control/takeControl',
    fields: { ...target, session_id: 'a-session', user_id: 'ann' },
    shape: {
      message: 'string',
      session_id: 'string',
      host_name: 'string',
      device_id: 'string',
      host_result: 'object',
      cache_ready: 'boolean',
      warning: 'string?',
    },
  },
  { route: 'POST /server/control/checkLock', fields: target, shape: { is_locked: 'boolean', lock_info: 'object' } },
  { route: 'GET /server/control/lockedDevices', fields: {}, shape: { locked_devices: 'object' } },
  begun('action/executeBatch', { actions: [press], retry_actions: [], failure_actions: [], tree_id: 't', edge_id: 'e' }),
  ended('action'),
  begun('action/execute', { action: press }),
  ended('action'),
  begun('verification/executeBatch', { verifications: [check], node_id: 'n', tree_id: 't' }),
  ended('verification'),
  begun('builder/execute', { command: 'sleep', params: { duration: 0.1 } }),
  ended('builder'),
  { route: 'GET /server/builder/blocks', fields: { host_name: 'lab-1' }, shape: { blocks: 'array' } },
  { route: 'POST /server/verification/getAllReferences', fields: {}, shape: { references: 'array' } },
  { route: 'GET /server/verification/getAllReferences', fields: {}, shape: { references: 'array' } },
  {
    route: 'POST /server/web/executeCommand',
    fields: { host_name: 'lab-1', command: 'browser_use_task', params: { task: 'look around' } },
    status: 202,
    shape: { task_id: 'string', status: 'string', message: 'string' },
  },
  {
    route: 'POST /server/web/taskComplete',
    fields: { result: { success: true, execution_time: 5300 }, execution_logs: 'opened\n', error: null },
    asHost: true,
    shape: { message: 'string' },
  },
  { route: 'POST /server/control/releaseControl', fields: target, shape: { message: 'string', host_notification: 'string' } },
  { route: 'POST /server/control/forceUnlock', fields: { host_name: 'lab-1' }, shape: { message: 'string' } },
]

test('api-core.md 3 to 5: every documented route is in the contract, and every route of the contract has a case', () => {
  const features = /^(control|remote|av|power|desktop|web|monitoring|action|verification|builder|references)\./
  const offered = everyRoute.filter(({ name }) => features.test(name)).map(({ route }) => `${route.method} ${route.path}`)
  const cases = new Set([...deviceCallCases.map((one) => `POST /server/${one.path}`), ...walk.map((one) => one.route)])
  assert.ok(offered.length > 40, `${offered.length} routes`)
  assert.deepEqual(
    documented.filter((route) => !offered.includes(route)),
    [],
    'documented, but not offered',
  )
  assert.deepEqual(
    offered.filter((route) => !cases.has(route) && !ownRoutes.has(route)),
    [],
    'offered, but without a case',
  )
  assert.deepEqual(
    [...cases, ...ownRoutes.keys()].filter((route) => !offered.includes(route)),
    [],
    'a case of a route that is not there',
  )
})

for (const original of [true, false]) {
  test(`api-core.md 3 and 5: a person's work as the web app calls it, on ${original ? 'an original host' : 'an agent'}`, async (t) => {
    const lab = await startLab(t, { host: { original, apiKey, browser: true, batchMs: 50 }, env: { API_KEY: apiKey } })
    let executionId = ''
    let taskId = ''
    for (const { route, fields, shape, status = 200, asHost } of walk) {
      const [method = '', pattern = ''] = route.split(' ')
      const path = `${pattern.replace('{execution_id}', executionId)}?team_id=${defaultTeamId}`
      const query = new URLSearchParams(fields as Record<string, string>).toString()
      const ask = () =>
        method === 'GET'
          ? lab.get(`${path}${query && `&${query}`}`)
          : lab.post(
              asHost ? pattern : path,
              asHost ? { task_id: taskId, ...fields } : { ...fields, unknown_field: 'ignored' },
              asHost ? { headers: { 'x-api-key': apiKey } } : {},
            )
      const answer = pattern.endsWith('/status')
        ? await until(`${route} has ended`, async () => {
            const one = await ask()
            return one.body.status !== 'running' && one
          })
        : await ask()
      assert.deepEqual([answer.status, answer.body.success], [status, true], `${route}: ${answer.text}`)
      assertShape(answer.body, shape, route)
      if (typeof answer.body.execution_id === 'string') executionId = answer.body.execution_id
      if (typeof answer.body.task_id === 'string') taskId = answer.body.task_id
    }
  })
}
