import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { until } from '../until.ts'
import { freePort, proxyTo, type RunningProxy } from './start-proxy.ts'

/*
 * A web application of somebody else, written in Go like Grafana, that also lives under a path: what our own stand-in takes
 * for granted is not granted here.
 */

const program = (process.env.PATH ?? '')
  .split(path.delimiter)
  .map((folder) => path.join(folder, 'prometheus'))
  .find((file) => {
    try {
      accessSync(file, constants.X_OK)
      return true
    } catch {
      return false
    }
  })
const skip = program ? false : 'needs Prometheus (Debian: apt-get install prometheus)'

async function startPrometheus(t: TestContext): Promise<RunningProxy> {
  const folder = await mkdtemp(path.join(tmpdir(), 'vpt-prometheus-'))
  const port = await freePort()
  const address = new URL(`http://127.0.0.1:${port}`)
  const proxy = await proxyTo(t, () => address)
  await writeFile(
    path.join(folder, 'prometheus.yml'),
    `scrape_configs: [{ job_name: self, scrape_interval: 1s, metrics_path: /grafana/metrics, static_configs: [{ targets: ['127.0.0.1:${port}'] }] }]\n`,
  )
  const child = spawn(
    program ?? '',
    [
      `--config.file=${folder}/prometheus.yml`,
      `--storage.tsdb.path=${folder}/data`,
      `--web.listen-address=127.0.0.1:${port}`,
      `--web.external-url=${proxy.url}/grafana/`,
      '--web.route-prefix=/grafana',
      '--log.level=error',
    ],
    { stdio: 'ignore' },
  )
  t.after(async () => {
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    await rm(folder, { recursive: true, force: true })
  })
  await until('Prometheus answers', async () => (await fetch(`${proxy.url}/grafana/-/ready`)).status === 200)
  return proxy
}

test('U1, U2: a foreign program under the path: pages, files, redirects, POST queries', { skip }, async (t) => {
  const proxy = await startPrometheus(t)

  const start = await fetch(`${proxy.url}/grafana`, { redirect: 'manual' })
  assert.deepEqual([start.status, start.headers.get('location')], [308, '/grafana/'])
  const home = await fetch(`${proxy.url}/grafana/`, { redirect: 'manual' })
  assert.equal(home.status, 302)
  const location = new URL(home.headers.get('location') ?? '', proxy.url)
  assert.equal(location.host, new URL(proxy.url).host)
  // Debian builds it with the classic pages only.
  assert.match(location.pathname, /^\/grafana\/(classic\/)?graph$/)
  const page = await fetch(`${proxy.url}/grafana`)
  assert.deepEqual([page.status, page.redirected, new URL(page.url).pathname], [200, true, location.pathname])
  assert.match(page.headers.get('content-type') ?? '', /^text\/html/)
  assert.equal(page.headers.get('content-security-policy'), null)

  const html = await page.text()
  const files = [...html.matchAll(/(?:src|href)="([^"]+\.(?:js|css|ico|png|svg)[^"]*)"/g)].map(
    (match) => new URL(match[1] ?? '', page.url),
  )
  assert.ok(files.length > 0, html)
  for (const file of files) {
    assert.ok(file.pathname.startsWith('/grafana/'), file.href)
    const asset = await fetch(file)
    assert.equal(asset.status, 200, file.href)
    assert.equal((await asset.arrayBuffer()).byteLength > 0, true)
  }

  const query = async (text: string): Promise<{ status: string; data: { result: { value: [number, string] }[] } }> => {
    const response = await fetch(`${proxy.url}/grafana/api/v1/query`, {
      method: 'POST',
      body: new URLSearchParams({ query: text }),
    })
    assert.equal(response.status, 200)
    return (await response.json()) as Awaited<ReturnType<typeof query>>
  }
  assert.equal((await query('vector(40 + 2)')).data.result[0]?.value[1], '42')
  await until('its own first measurement', async () => (await query('up{job="self"}')).data.result[0]?.value[1] === '1')
  const bad = await fetch(`${proxy.url}/grafana/api/v1/query`, { method: 'POST', body: new URLSearchParams({ query: 'up{' }) })
  assert.deepEqual([bad.status, ((await bad.json()) as { errorType: string }).errorType], [400, 'bad_data'])

  // Compressed on the way, and the same bytes at the end.
  const packed = await fetch(`${proxy.url}/grafana/metrics`, { headers: { 'accept-encoding': 'gzip' } })
  assert.equal(packed.headers.get('content-encoding'), 'gzip')
  assert.match(await packed.text(), /^prometheus_build_info/m)
  const missing = await fetch(`${proxy.url}/grafana/no/such/page`)
  assert.equal(missing.status, 404)
  assert.ok(!(await missing.text()).includes('route_not_found'))
})
