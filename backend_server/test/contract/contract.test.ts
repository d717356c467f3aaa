import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { errorCodes } from '@virtualpytest/shared'
import { startLab } from '../start-lab.ts'
import { everyRoute } from './every-route.ts'
import { rawCall } from './raw-call.ts'

/** Answered beside the contract: the entry page, and the contract about itself. */
const aboutTheServer =
  /^(GET|HEAD) \/(|server\/openapi\.json|server\/docs(\/(start\.js|swagger-ui\.css|swagger-ui-bundle\.js|favicon-32x32\.png))?)$/

/** Calls that one server hands to another; nobody else has the key. */
const betweenServers = /^[A-Z]+ \/server\/internal\/host-calls\/\{host\}$/

/** `GET /server/runs/{run_id}` for each route in the tree that the HTTP framework prints of itself. */
function routesOf(tree: string): string[] {
  const parents: string[] = []
  return tree.split('\n').flatMap((line) => {
    const parts = /^([│ ]*)[├└]── (\S+) \(([A-Z, ]+)\)/.exec(line)
    if (!parts) return []
    const [, indent = '', segment = '', methods = ''] = parts
    const level = indent.length / 4
    parents[level] = `${level === 0 ? '' : parents[level - 1]}${segment}`
    const path = (parents[level] ?? '').replace(/^\/\//, '/').replace(/:(\w+)/g, '{$1}')
    return methods.split(', ').map((method) => `${method} ${path}`)
  })
}

test('the server answers the routes of the contract, all of them and nothing else', async (t) => {
  const lab = await startLab(t, { hosts: 0 })
  const contract = everyRoute.map(({ route }) => `${route.method} ${route.path}`).sort()
  assert.equal(new Set(contract).size, contract.length, 'one route per method and path')
  assert.deepEqual(lab.server.mounted.map(({ route }) => `${route.method} ${route.path}`).sort(), contract)

  const answered = routesOf(lab.server.http.printRoutes({ commonPrefix: false }))
  const known = new Set(contract)
  for (const one of contract) assert.ok(answered.includes(one), `${one} is mounted but not answered`)
  const others = answered.filter(
    (one) =>
      !betweenServers.test(one) && !known.has(one) && !known.has(one.replace(/^HEAD /, 'GET ')) && !aboutTheServer.test(one),
  )
  assert.deepEqual(others, ['OPTIONS *'])
})

test('the generated OpenAPI names every route of the contract, and is served as it is', async (t) => {
  const text = readFileSync(new URL('../../../shared/openapi.json', import.meta.url), 'utf8')
  const document = JSON.parse(text) as {
    openapi: string
    paths: Record<string, Record<string, { operationId: string; responses: Record<string, unknown> }>>
  }
  assert.match(document.openapi, /^3\.1/)
  const described = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  )
  assert.deepEqual(described.sort(), everyRoute.map(({ route }) => `${route.method} ${route.path}`).sort())
  for (const { name, route } of everyRoute) {
    const operation = document.paths[route.path]?.[route.method.toLowerCase()]
    assert.equal(operation?.operationId, name)
    for (const status of [...Object.keys(route.answers), ...(route.failures ?? []).map(String)]) {
      assert.ok(Object.hasOwn(operation?.responses ?? {}, status), `${name} lacks ${status}`)
    }
  }
  const lab = await startLab(t, { hosts: 0 })
  assert.equal((await rawCall(lab.url, 'GET', '/server/openapi.json')).text, text)
  for (const path of ['/server/docs', '/docs', '/server/docs/']) {
    const page = await rawCall(lab.url, 'GET', path)
    assert.equal(page.status, 200, path)
    assert.match(page.text, /<!doctype html>/i)
  }
})

test('the contract is written down completely', async (t) => {
  const statuses = new Set<number>(Object.values(errorCodes).map(({ status }) => status))
  for (const { name, route } of everyRoute) {
    await t.test(name, () => {
      assert.match(route.path, /^\/server\/[\w/{}-]+$/)
      assert.ok(route.summary.length > 10)
      const names = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, one]) => String(one))
      assert.deepEqual(Object.keys(route.params?.shape ?? {}).sort(), names.sort(), 'path parameters and their schema')
      for (const status of Object.keys(route.answers)) assert.ok(Number(status) >= 200 && Number(status) < 300)
      for (const status of route.failures ?? []) assert.ok(statuses.has(status), `no error code has ${status}`)
      if (route.method === 'GET') assert.equal(route.body, undefined)
      if (Object.values(route.answers).includes(null)) assert.ok(route.produces, 'what is not JSON says what it is')
    })
  }
})
