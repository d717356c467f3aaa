import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, type TestContext, test } from 'node:test'
import { defaultTeamId } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { chromium, type Page } from 'playwright-core'
import { everyRoute, nobody, sampleRequest } from '../contract/every-route.ts'
import { closeRawConnections, rawCall } from '../contract/raw-call.ts'
import { startLinkedAgent } from '../links/start-linked-lab.ts'
import { type Lab, startLab } from '../start-lab.ts'
import { patienceMs, until } from '../until.ts'

after(closeRawConnections)

const host = 'nat-1'
const live = `/server/hosts/${host}/stream/capture1/live.mjpeg`

async function signIn(lab: Lab, token: string): Promise<string> {
  const answer = await lab.post('/server/auth/session', {}, { token })
  assert.equal(answer.status, 200, answer.text)
  return /^vpt_session=[\w-]{43}/.exec(answer.headers.get('set-cookie') ?? '')?.[0] ?? ''
}

test('T17, S97: the cookie of a browser opens pictures, files and reports by GET, and no other route of the whole contract', async (t) => {
  const lab = await startLab(t, { hosts: 0, env: { AUTH_MODE: 'required', TRUSTED_PROXIES: '1' } })
  const { token: admin, id: adminId } = await lab.addToken('ann', 'admin')
  const cookie = await signIn(lab, admin)
  const ask = (method: string, path: string, headers: Record<string, string> = {}) =>
    rawCall(lab.url, method, path, { headers: { cookie, ...headers } })
  const opened: string[] = []
  for (const named of everyRoute.filter(({ route }) => !['public', 'host'].includes(route.access))) {
    const sample = sampleRequest(named, nobody)
    const text = sample.raw ?? (sample.body && JSON.stringify(sample.body))
    const answer = await rawCall(lab.url, named.route.method, sample.path, {
      headers: { 'content-type': 'application/json', ...sample.headers, cookie },
      ...(text !== undefined && { body: text }),
    })
    if (answer.status !== 401) opened.push(named.name)
  }
  assert.deepEqual(opened.sort(), [
    'media.file',
    'media.fileInFolder',
    'media.live',
    'references.image',
    'runs.artifact',
    'runs.report',
  ])
  for (const { route, name } of everyRoute.filter(({ route }) => route.byCookie === true))
    assert.deepEqual([route.method, route.access, route.answers[200]], ['GET', 'viewer', null], name)

  const report = `/server/runs/${nobody.runId}/report`
  assert.equal((await ask('GET', report)).status, 404, 'signed in: there is no such run')
  assert.equal((await ask('GET', report, { authorization: 'Bearer vpt_wrong' })).status, 401, 'a token that is sent counts alone')
  assert.equal((await ask('GET', `${report}?team_id=${(await lab.addTeam('other')).teamId}`)).status, 403, 'another team')
  for (const origin of ['http://127.0.0.1:3999', 'https://evil.example', 'null'])
    assert.equal((await ask('GET', report, { origin })).status, 401, `a script of ${origin}`)
  assert.equal((await ask('GET', report, { origin: lab.url })).status, 404, 'a script of its own')
  assert.equal(
    (await ask('GET', report, { cookie: `a=b; vpt_session=${'x'.repeat(43)}; ${cookie}` })).status,
    404,
    'beside others',
  )
  for (const bad of ['', 'vpt_session=', `vpt_session=${'x'.repeat(43)}`, `${cookie}x`, `vpt_session=${admin}`])
    assert.equal((await ask('GET', report, { cookie: bad })).status, 401, bad)

  const plain = await lab.post('/server/auth/session', {}, { token: admin })
  assert.match(plain.headers.get('set-cookie') ?? '', /; Path=\/server; Max-Age=28800; HttpOnly; SameSite=Lax$/)
  const secure = await lab.post('/server/auth/session', {}, { token: admin, headers: { 'x-forwarded-proto': 'https' } })
  assert.match(secure.headers.get('set-cookie') ?? '', /; HttpOnly; SameSite=Lax; Secure$/)
  assert.ok(!secure.text.includes('vpt_') && Date.parse(String(secure.body.expires_at)) > Date.now())
  const kept = await sql<{ text: string }>`select to_jsonb(s)::text as text from browser_sessions s`.execute(lab.db.kysely)
  assert.ok(
    kept.rows.every(({ text }) => !text.includes(cookie.slice('vpt_session='.length))),
    'hashes only',
  )

  assert.equal((await lab.call('DELETE', '/server/auth/session', { headers: { cookie } })).status, 200)
  assert.equal((await ask('GET', report)).status, 401, 'signed out, the cookie is worth nothing, wherever it was copied to')
  const second = await signIn(lab, admin)
  await sql`update browser_sessions set expires_at = now() - interval '1 second'`.execute(lab.db.kysely)
  assert.equal((await ask('GET', report, { cookie: second })).status, 401, 'after its end')
  const third = await signIn(lab, admin)
  assert.equal((await ask('GET', report, { cookie: third })).status, 404)
  const boss = await lab.addToken('boss', 'admin')
  await lab.call('DELETE', `/server/tokens/${adminId}`, { token: boss.token })
  assert.equal((await ask('GET', report, { cookie: third })).status, 401, 'it ends with its token')
  assert.equal(
    (await sql`select from browser_sessions where expires_at < now()`.execute(lab.db.kysely)).rows.length,
    0,
    'swept up',
  )

  const open = await startLab(t, { hosts: 0 })
  const nothing = await open.post('/server/auth/session')
  assert.deepEqual([nothing.body.expires_at, nothing.headers.get('set-cookie')], [null, null], 'without login nothing is needed')
})

/** A page of somebody else: on `localhost` it is another site, on 127.0.0.1 the same site at another port. */
async function servePage(t: TestContext, name: 'localhost' | '127.0.0.1', html: string): Promise<string> {
  const server = createServer((_request, response) => response.setHeader('content-type', 'text/html').end(html))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://${name}:${(server.address() as AddressInfo).port}/`
}

/** The width of the first picture that arrives; 0 when it is refused. */
const pictureWidth = (page: Page, src: string): Promise<number> =>
  page.evaluate<number>(`new Promise((resolve) => {
    const image = new Image()
    image.onload = () => resolve(image.naturalWidth)
    image.onerror = () => resolve(0)
    image.src = ${JSON.stringify(src)}
    document.body.append(image)
  })`)

const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync)
const skip = executablePath ? false : 'needs Chromium (Debian: apt-get install chromium)'

test('T17: where login is required, a person opens a report with its pictures and a live picture in a browser; other pages get nothing done', {
  skip,
}, async (t) => {
  const lab = await startLab(t, {
    hosts: 0,
    env: { AUTH_MODE: 'required', API_KEY: 'shared-key-of-this-lab' },
    timings: { viewerRecheckMs: 200 },
  })
  const { token: tester } = await lab.addToken('ann', 'tester')
  const viewer = await lab.addToken('viewer', 'viewer')
  const agent = await startLinkedAgent(t, { serverUrl: lab.url, env: { API_KEY: 'shared-key-of-this-lab' } })
  await until('the link is open', () => agent.output().includes('link to the server is open'))
  const order = { host_name: host, device_id: 'device1', script_name: 'zapping.ts', parameters: '--channels 2 --max-ms 20000' }
  const run = await lab.post<{ run_id: string }>('/server/script/execute', order, { token: tester })
  assert.equal(run.status, 202, run.text)
  const report = `/server/runs/${run.body.run_id}/report`
  await until('the report is written', async () => (await lab.get(report, { token: tester })).status === 200)

  const browser = await chromium.launch({ executablePath: executablePath ?? '', args: ['--no-sandbox'] })
  t.after(() => browser.close())
  const context = await browser.newContext()
  context.setDefaultTimeout(patienceMs)
  const page = await context.newPage()
  await page.goto(`${lab.url}/runs/${run.body.run_id}/report`)
  await page.getByLabel('API token').fill('vpt_wrong')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('alert').getByText('This API token is unknown, expired or revoked.').waitFor()
  await page.getByLabel('API token').fill(viewer.token)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('heading', { name: 'zapping.ts' }).first().waitFor()
  assert.equal(new URL(page.url()).pathname, report, 'where the cookie counts')
  const widths = await page
    .locator('img')
    .evaluateAll((images) => images.map((image) => (image as unknown as { naturalWidth: number }).naturalWidth))
  assert.ok(widths.length > 0 && widths.every((width) => width > 0), `its pictures: ${widths.join(', ')}`)
  const log = page.locator('.files a', { hasText: 'log' }).first()
  const [answer] = await Promise.all([page.waitForResponse(/\/artifacts\//), log.click()])
  assert.equal(answer.status(), 200, 'a link of the report, followed from inside its sandbox')

  await page.goto(`${lab.url}/`)
  assert.ok((await pictureWidth(page, live)) > 0, 'the live picture')

  // The cookie goes along from the same site, so it is the server that refuses; from another site it stays at home.
  const changes = `${lab.url}/server/control/takeControl`
  const attack = `<form method="post" action="${changes}" enctype="text/plain"><input name='{"host_name":"${host}","device_id":"device1","x":"' value='"}'></form>`
  const carried: boolean[] = []
  lab.server.http.server.on('request', ({ method, url, headers }: IncomingMessage) => {
    if (method === 'POST' && url?.includes('takeControl')) carried.push(headers.cookie?.includes('vpt_session=') ?? false)
  })
  for (const name of ['localhost', '127.0.0.1'] as const) {
    const alien = await context.newPage()
    await alien.goto(await servePage(t, name, attack))
    const direct = alien.waitForResponse(changes)
    await alien.evaluate(
      (url) => void fetch(url, { method: 'POST', mode: 'no-cors', credentials: 'include', body: '{}' }),
      changes,
    )
    assert.equal((await direct).status(), 401, `a script on ${name}`)
    assert.deepEqual(carried.splice(0), [name === '127.0.0.1'], 'whether the cookie came along')
    const read = await alien.evaluate(
      (url) =>
        fetch(url, { credentials: 'include' }).then(
          (got) => got.status,
          () => 0,
        ),
      `${lab.url}${report}`,
    )
    assert.ok([0, 401].includes(read), `a script on ${name} reads the report: ${read}`)
    if (name === 'localhost')
      assert.equal(await pictureWidth(alien, `${lab.url}${live}`), 0, 'no picture on pages of other sites')
    const sent = alien.waitForResponse(changes)
    await alien.evaluate(`document.querySelector('form').submit()`)
    assert.equal((await sent).status(), 401, `a form on ${name}`)
    assert.deepEqual(carried.splice(0), [name === '127.0.0.1'])
    await alien.close()
  }
  assert.equal((await sql`select from leases where purpose is distinct from 'zapping.ts'`.execute(lab.db.kysely)).rows.length, 0)

  // Whoever watches is asked again: a revoked token ends the picture that runs.
  const cookie = await signIn(lab, viewer.token)
  const watching = await fetch(`${lab.url}${live}`, { headers: { cookie } })
  assert.equal(watching.status, 200)
  const { token: boss } = await lab.addToken(`boss ${randomUUID()}`, 'admin', defaultTeamId)
  assert.equal((await lab.call('DELETE', `/server/tokens/${viewer.id}`, { token: boss })).status, 200)
  await assert.rejects(async () => {
    for await (const _part of watching.body ?? []);
  }, 'cut off')
  await page.goto(`${lab.url}${report}`)
  await page.getByLabel('API token').waitFor()
})
