import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { demoSitePage } from '../../src/demo-site.ts'
import { createDriver, type Driver, findChromium } from '../../src/drivers/index.ts'
import { readAddress } from '../../src/drivers/web/address.ts'

/** One browser for the whole file; a test that breaks it leaves a fresh one behind. */

const skip = findChromium() ? false : 'no Chromium is installed on this machine'
const { signal } = new AbortController()
let driver: Driver
let url = ''

const pages: Record<string, string> = {
  '/popup': '<title>First</title><a href="/second" target="_blank">Open second</a>',
  '/second': '<title>Second</title><h1>Second page</h1>',
  '/login': '<input type="password" id="pw" value="secret"><div style="display:none">Hidden text</div><p>Shown text</p>',
  '/dialog': '<button onclick="alert(1);this.textContent=\'Done\'">Ask</button>',
  '/moved': '',
}

const server = createServer((request, response) => {
  const path = new URL(request.url ?? '/', 'http://x').pathname
  if (path === '/moved') return response.writeHead(302, { location: '/second' }).end()
  const page = path.startsWith('/demo/') ? demoSitePage(path.slice('/demo/'.length)) : null
  const body = page?.body ?? pages[path]
  if (body === undefined) return response.writeHead(404, { 'content-type': 'text/html' }).end('<title>None</title>')
  return response.writeHead(200, { 'content-type': page?.contentType ?? 'text/html' }).end(body)
})

async function execute(command: string, params: Record<string, unknown> = {}) {
  return driver.execute(command, params, signal)
}

/** For steps that must work for the test to mean anything. */
async function mustDo(command: string, params: Record<string, unknown> = {}) {
  const result = await execute(command, params)
  assert.ok(result.success, `${command}: ${result.message}`)
  return result
}

function browserProcesses(): number[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return []
    try {
      const command = readFileSync(`/proc/${name}/cmdline`, 'utf8')
      return command.includes(`${tmpdir()}/vpt-chromium-${process.pid}-`) ? [Number(name)] : []
    } catch {
      return []
    }
  })
}

const profiles = () => readdirSync(tmpdir()).filter((name) => name.startsWith(`vpt-chromium-${process.pid}-`))

async function waitUntil(what: string, isTrue: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 60_000
  while (!(await isTrue())) {
    assert.ok(performance.now() < end, `not in time: ${what}`)
    await setTimeout(50)
  }
}

// A folder of our own for what browsers make: other browsers run on this machine, too.
const folder = mkdtempSync(join(tmpdir(), 'vpt-web-driver-'))
process.env.TMPDIR = folder

before(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  driver = createDriver('web')
  if (!skip) await driver.open(signal)
})

after(async () => {
  await driver.close()
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  rmSync(folder, { recursive: true, force: true })
})

test('S: the form of the demo page is filled, sent and read', { skip }, async () => {
  const opened = await mustDo('navigate_to_url', { url: `${url}/demo/` })
  assert.equal(opened.status, 200)
  await mustDo('click_element', { text: 'Book the device' })
  assert.equal((await execute('waitForElementToAppear', { search_term: 'Please tell us your name', timeout: 30 })).success, true)
  await mustDo('input_text', { element_id: 'name', text: 'Ada' })
  await mustDo('input_text', { selector: 'input[type=email]', text: 'ada@example.org' })
  await mustDo('click_element', { text: 'Book the device' })
  const { texts } = await driver.screen(signal)
  assert.ok(texts.includes('Thank you, Ada'))
  assert.ok(texts.includes('B-1001'))
  assert.ok(!texts.includes('Book the device'), 'what is hidden is not listed')
})

test('S: elements are found by id of the listing, by point, and by hovering', { skip }, async () => {
  await mustDo('navigate_to_url', { url: `${url}/demo/` })
  const { elements } = await driver.screen(signal)
  const button = elements.find((element) => element.text === 'Book the device')
  assert.ok(button)
  await mustDo('hover_element', { element_id: button.id })
  await mustDo('click_element', { element_id: button.id })
  assert.ok((await driver.screen(signal)).texts.includes('Please tell us your name'))
  const counter = elements.find((element) => element.id === 'count')
  assert.ok(counter)
  const { left, top, right, bottom } = counter.bounds
  await mustDo('tap_x_y', { x: (left + right) / 2, y: (top + bottom) / 2 })
  await mustDo('press_key', { key: 'UP' })
  assert.ok((await driver.screen(signal)).texts.includes('Counted 2'))
  assert.match((await execute('tap_x_y', { x: 5000, y: 1 })).message, /outside of the page/)
})

test('S: scrolling moves by the amount and says when the page is at its end', { skip }, async () => {
  await mustDo('navigate_to_url', { url: `${url}/demo/` })
  const first = await mustDo('scroll', { direction: 'down', amount: 250 })
  assert.deepEqual(first.position, { x: 0, y: 250, moved: true })
  await mustDo('scroll', { direction: 'down', amount: 100_000 })
  assert.match((await mustDo('scroll', { direction: 'down' })).message, /at its end/)
  assert.ok((await driver.screen(signal)).texts.includes('You have reached the end'))
})

test('S: redirects are followed and the state of the answer is told', { skip }, async () => {
  const moved = await mustDo('navigate_to_url', { url: `${url}/moved` })
  assert.equal(moved.url, `${url}/second`)
  assert.equal(moved.title, 'Second')
  assert.equal((await mustDo('navigate_to_url', { url: `${url}/none` })).status, 404)
})

test('S: a link to a new page takes the view with it, and back when that page closes', { skip }, async () => {
  await mustDo('navigate_to_url', { url: `${url}/popup` })
  await mustDo('click_element', { text: 'Open second' })
  await mustDo('waitForElementToAppear', { search_term: 'Second page', timeout: 30, check_interval: 0.05 })
  await execute('execute_javascript', { script: 'window.close()' })
  await mustDo('waitForElementToAppear', { search_term: 'Open second', timeout: 30, check_interval: 0.05 })
})

test('S: a dialog of a page stops nobody', { skip }, async () => {
  await mustDo('navigate_to_url', { url: `${url}/dialog` })
  await mustDo('click_element', { text: 'Ask' })
  assert.ok((await driver.screen(signal)).texts.includes('Done'))
})

test('N: passwords and hidden texts are not in the listing', { skip }, async () => {
  await mustDo('navigate_to_url', { url: `${url}/login` })
  const listing = JSON.stringify(await driver.screen(signal))
  assert.ok(listing.includes('Shown text'))
  assert.ok(!listing.includes('secret') && !listing.includes('Hidden text'))
  const all = await mustDo('dump_elements', { include_hidden: 'true' })
  assert.ok(JSON.stringify(all.elements).includes('Hidden text'))
  assert.ok(!JSON.stringify(all.elements).includes('secret'))
})

test('N: files and pages of the browser itself are refused', () => {
  for (const text of [
    'file:///etc/passwd',
    'chrome://settings',
    'view-source:http://a.b',
    'javascript:alert(1)',
    'about:gpu',
    '',
    'http://',
    'C:\\x',
  ]) {
    assert.equal(readAddress(text), null, text)
  }
  assert.equal(readAddress('example.org/a'), 'https://example.org/a')
  assert.equal(readAddress(' localhost:3000 '), 'http://localhost:3000/')
  assert.equal(readAddress('192.168.1.4:80/x'), 'http://192.168.1.4/x')
  assert.equal(readAddress('about:blank'), 'about:blank')
})

test('N: what a script gives is returned, and its trouble is an answer', { skip }, async () => {
  await mustDo('navigate_to_url', { url: `${url}/second` })
  assert.deepEqual((await mustDo('execute_javascript', { script: '({ a: [1, 2] })' })).result, { a: [1, 2] })
  assert.equal((await mustDo('execute_javascript', { script: 'const a = 2; return a * 21' })).result, 42)
  assert.equal((await mustDo('execute_javascript', { script: 'undefined' })).result, null)
  const failed = await execute('execute_javascript', { script: 'nothing.here' })
  assert.match(failed.message, /nothing is not defined/)
  assert.equal(failed.message.includes('\n'), false)
})

test('N: the browser that was killed is started anew by the next command', { skip }, async () => {
  await mustDo('navigate_to_url', { url: `${url}/second` })
  const killed = browserProcesses()
  assert.ok(killed.length > 0)
  for (const pid of killed) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // Children end with their parent; some are gone before their turn.
    }
  }
  await waitUntil('the killed processes are gone', () => !browserProcesses().some((pid) => killed.includes(pid)))
  // The news travels through a pipe: a command that is faster than it fails, or sees the page as it last was.
  await waitUntil('the driver knows', async () => {
    const { status } = await execute('browser_status')
    return (status as { connected: boolean } | undefined)?.connected === false
  })
  await mustDo('open_browser')
  assert.equal((await mustDo('get_page_info')).url, 'about:blank')
  await mustDo('navigate_to_url', { url: `${url}/second` })
  await waitUntil('the profile of the killed browser is removed', () => profiles().length === 1)
})

test('N: a page that crashed is replaced, and the browser lives on', { skip }, async () => {
  const before = Math.min(...browserProcesses())
  await execute('navigate_to_url', { url: `${url}/second` })
  const renderer = browserProcesses().filter((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('--type=renderer'))
  for (const pid of renderer) process.kill(pid, 'SIGKILL')
  await waitUntil('the renderer is gone', () => !browserProcesses().some((pid) => renderer.includes(pid)))
  await waitUntil('a page is there again', async () => (await execute('navigate_to_url', { url: `${url}/second` })).success)
  assert.equal(Math.min(...browserProcesses()), before, 'it is the same browser')
})

test('N: an abort does not wait for a slow page', { skip }, async () => {
  const aborting = new AbortController()
  const reason = new Error('cancelled')
  const endless = driver.execute('execute_javascript', { script: 'new Promise(() => {})' }, aborting.signal)
  aborting.abort(reason)
  await assert.rejects(endless, reason)
  await mustDo('navigate_to_url', { url: `${url}/second` })
})

test('N: close leaves no process and no profile behind', { skip }, async () => {
  await mustDo('open_browser')
  await mustDo('close_browser')
  await waitUntil('no process after close_browser', () => browserProcesses().length === 0)
  assert.equal((await mustDo('open_browser')).connected, true)
  await driver.close()
  await waitUntil('no process after close', () => browserProcesses().length === 0)
  assert.deepEqual(profiles(), [])
  const left = execFileSync('ls', [tmpdir()], { encoding: 'utf8' })
  assert.ok(!left.includes(`playwright_chromiumdev_profile`), 'Playwright made no profile of its own')
})

test('N: the demo page gives only its own files', () => {
  assert.match(String(demoSitePage('')?.contentType), /text\/html/)
  assert.ok(demoSitePage('app.js') && demoSitePage('style.css') && demoSitePage('index.html'))
  for (const path of [
    '../package.json',
    '..%2fpackage.json',
    'index.html/..',
    'constructor',
    '__proto__',
    'a',
    '/etc/passwd',
    'app.js\0',
  ]) {
    assert.equal(demoSitePage(path), null, path)
  }
})
