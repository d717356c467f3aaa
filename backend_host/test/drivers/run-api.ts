import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import type { Driver } from '../../src/drivers/driver.ts'

export type Recorded = {
  url: string
  steps: { name: string; kind: string; outcome: string | null; message: string | null; screenshot: boolean | null }[]
  measures: { name: string; value: number; unit: string }[]
  screenshots: string[]
  /** Answer every call from now on as after the loss of the lease. */
  loseLease(): void
}

const runKey = 'a'.repeat(64)

async function readBody(request: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return JSON.parse(Buffer.concat(chunks).toString('utf8')) as Record<string, unknown>
}

/** The run API of the agent over real HTTP, reduced to what the SDK uses, with a real driver behind it. */
export async function startRunApi(t: TestContext, driver: Driver): Promise<Recorded> {
  const { signal } = new AbortController()
  let isLost = false
  const recorded: Recorded = { url: '', steps: [], measures: [], screenshots: [], loseLease: () => (isLost = true) }

  async function answer(
    path: string,
    body: Record<string, unknown>,
  ): Promise<{ status: number; json?: unknown; image?: Buffer }> {
    if (isLost) return { status: 409, json: { success: false, error: 'This lease has ended.', code: 'stale_token' } }
    if (path === '/run/steps') {
      recorded.steps.push({ name: String(body.name), kind: String(body.kind), outcome: null, message: null, screenshot: null })
      return { status: 201, json: { position: recorded.steps.length } }
    }
    const finished = /^\/run\/steps\/(\d+)\/finish$/.exec(path)
    const step = finished ? recorded.steps[Number(finished[1]) - 1] : undefined
    if (step) {
      Object.assign(step, body)
      return { status: 200, json: { success: true } }
    }
    if (path === '/run/command') {
      const params = (body.params ?? {}) as Record<string, unknown>
      return { status: 200, json: await driver.execute(String(body.command), params, signal) }
    }
    if (path === '/run/screen') return { status: 200, json: await driver.screen(signal) }
    if (path === '/run/measure') {
      recorded.measures.push({ name: String(body.name), value: Number(body.value), unit: String(body.unit) })
      return { status: 200, json: { success: true } }
    }
    if (path === '/run/screenshot') {
      if (typeof body.name === 'string') recorded.screenshots.push(body.name)
      return { status: 200, image: (await driver.screenshot(signal)).data }
    }
    return { status: 404, json: { success: false, error: 'no such path', code: 'not_found' } }
  }

  const server = createServer((request, response) => {
    const isKnown = request.headers.authorization === `Bearer ${runKey}`
    const refused = { status: 401, json: { success: false, error: 'The key of a run is required.', code: 'unauthorized' } }
    readBody(request)
      .then((body) => (isKnown ? answer(request.url ?? '', body) : refused))
      .then(
        ({ status, json, image }: { status: number; json?: unknown; image?: Buffer }) => {
          response
            .writeHead(status, { 'content-type': image ? 'image/png' : 'application/json' })
            .end(image ?? JSON.stringify(json))
        },
        (cause: unknown) => response.writeHead(500).end(String(cause)),
      )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  recorded.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const before = { ...process.env }
  Object.assign(process.env, runEnvironment(recorded))
  t.after(async () => {
    process.env = before
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  return recorded
}

export function runEnvironment({ url }: Recorded): Record<string, string> {
  return { VPT_AGENT_URL: url, VPT_RUN_KEY: runKey, VPT_RUN_ID: 'run', VPT_DEVICE_ID: 'device1', VPT_DEVICE_MODEL: 'stb' }
}
