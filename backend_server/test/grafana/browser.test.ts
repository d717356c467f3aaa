import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { type Browser, chromium, type Page } from 'playwright-core'
import { until } from '../until.ts'
import { type DashboardLab, grafanaBinary, startDashboards } from './start-dashboards.ts'
import { freePort } from './start-proxy.ts'

/* What a person in front of a browser sees of the dashboards, in a real Chromium. */

const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync)
const skip = executablePath ? false : 'needs Chromium (Debian: apt-get install chromium)'

async function openBrowser(t: TestContext): Promise<Browser> {
  const browser = await chromium.launch({ executablePath: executablePath ?? '', args: ['--no-sandbox'] })
  t.after(() => browser.close())
  return browser
}

/** A page of somebody's web app, on another origin. */
async function serveApp(t: TestContext, port: number, html: string): Promise<string> {
  const server = createServer((_request, response) => response.setHeader('content-type', 'text/html').end(html))
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

const isGrafana = (html: string): boolean => html.includes('grafanaBootData')
const folder = process.env.TEST_SCREENSHOTS

async function keep(page: Page, name: string): Promise<void> {
  if (folder) await page.screenshot({ path: `${folder}/${name}.png` })
}

test('S26, G8: a person signs in with a token, after a wrong one was refused, and lands in Grafana', { skip }, async (t) => {
  const lab = await startDashboards(t)
  const page = await (await openBrowser(t)).newPage()
  const problems: string[] = []
  page.on('console', (message) => {
    if (message.type() === 'error' && !/401/.test(message.text())) problems.push(message.text())
  })
  await page.goto(`${lab.url}/grafana/d/script-results/script-results`)
  await keep(page, 'sign-in')
  const field = page.getByLabel('API token')
  assert.ok(await field.evaluate((element) => element === element.ownerDocument.activeElement), 'ready to type')
  await field.fill('vpt_wrong')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('alert').getByText('This API token is unknown, expired or revoked.').waitFor()
  await keep(page, 'sign-in-refused')
  assert.deepEqual(problems, [], 'its own policy forbids nothing that the page does')
  await field.fill((await lab.createToken('ann', 'viewer')).secret)
  await field.press('Enter')
  await until('Grafana', async () => isGrafana(await page.content().catch(() => '')))
  assert.equal(new URL(page.url()).pathname, '/grafana/d/script-results/script-results')
})

test('S42: off, down and being prepared are pages that say what to do, and a passing trouble passes by itself', {
  skip,
}, async (t) => {
  const browser = await openBrowser(t)
  const off = await startDashboards(t, { mode: 'off' })
  const page = await browser.newPage()
  assert.equal((await page.goto(`${off.url}/grafana/`))?.status(), 503)
  await keep(page, 'off')
  await page.getByText('Dashboards are switched off on this server.').waitFor()
  await page.getByText('GRAFANA=embedded').waitFor()
  assert.equal(await page.locator('meta[http-equiv=refresh]').count(), 0, 'what is off does not come back by itself')

  const lab = await startDashboards(t, { authMode: 'open' })
  await lab.stopGrafana()
  assert.equal((await page.goto(`${lab.url}/grafana/`))?.status(), 503)
  await keep(page, 'down')
  await page.getByText('The dashboards cannot be reached at the moment.').waitFor()
  await page.getByRole('link', { name: 'Try now' }).waitFor()
  await page.emulateMedia({ colorScheme: 'dark' })
  await page.setViewportSize({ width: 360, height: 640 })
  await keep(page, 'down-dark-narrow')
  assert.ok(await page.evaluate('document.documentElement.scrollWidth <= innerWidth'), 'it fits a phone')
  await lab.startGrafana({ isForgetful: false })
  await until('the page looks again', async () => isGrafana(await page.content().catch(() => '')))
})

async function frameOf(browser: Browser, lab: DashboardLab, app: string): Promise<{ page: Page; html: () => Promise<string> }> {
  const page = await browser.newPage()
  await page.goto(app)
  const html = async (): Promise<string> => {
    const frame = page.frames().find((one) => one.url().startsWith(lab.url))
    return frame ? frame.content().catch(() => '') : ''
  }
  return { page, html }
}

test('G8: a web app that is allowed shows sign-in and dashboards in a frame, any other shows neither', { skip }, async (t) => {
  const [ownPort, alienPort] = [await freePort(), await freePort()]
  const lab = await startDashboards(t, { corsOrigins: `http://127.0.0.1:${ownPort}` })
  const browser = await openBrowser(t)
  const frame = `<iframe src="${lab.url}/grafana/" width="800" height="500"></iframe>`
  const { page, html } = await frameOf(browser, lab, await serveApp(t, ownPort, frame))
  const inside = page.frameLocator('iframe')
  await inside.getByLabel('API token').fill((await lab.createToken('ann', 'viewer')).secret)
  await inside.getByRole('button', { name: 'Sign in' }).click()
  await until('Grafana in the frame', async () => isGrafana(await html()))

  const other = await frameOf(browser, lab, await serveApp(t, alienPort, frame))
  await other.page.waitForTimeout(1000)
  assert.ok(!(await other.html()).includes('API token') && !isGrafana(await other.html()), 'no sign-in page')
  // Signed in, the browser of a person still shows nothing to a page elsewhere.
  if (grafanaBinary) return
  const context = await browser.newContext()
  const signedIn = await context.newPage()
  await signedIn.goto(`${lab.url}/grafana/`)
  await signedIn.getByLabel('API token').fill((await lab.createToken('bob', 'viewer')).secret)
  await signedIn.getByRole('button', { name: 'Sign in' }).click()
  await until('Grafana', async () => isGrafana(await signedIn.content().catch(() => '')))
  await signedIn.goto(`http://127.0.0.1:${alienPort}/`)
  await signedIn.waitForTimeout(1000)
  for (const one of signedIn.frames().slice(1)) assert.ok(!isGrafana(await one.content().catch(() => '')))
})
