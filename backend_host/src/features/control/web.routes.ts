import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { parseRequest } from '../../http/errors.ts'
import { type Access, params, WebTarget } from './access.ts'

const WebCommand = WebTarget.extend({ command: z.string().min(1).max(200), params })
const NavigateToUrl = WebTarget.extend({ url: z.string().min(1).max(8000), timeout: z.number().min(0).nullish() })

/** The browser of this host. */
export function webRoutes(app: FastifyInstance, access: Access): void {
  async function run(body: z.infer<typeof WebTarget>, command: string, given: Record<string, unknown> = {}) {
    const browser = access.browser(body.device_id)
    await access.admit(browser, body.token)
    const { result, execution_time } = await access.execute(browser, command, given)
    return { error: result.success ? null : result.message, ...result, execution_time }
  }

  app.post('/host/web/executeCommand', (request) => {
    const body = parseRequest(WebCommand, request.body)
    return run(body, body.command, body.params ?? {})
  })

  app.post('/host/web/navigateToUrl', (request) => {
    const body = parseRequest(NavigateToUrl, request.body)
    return run(body, 'navigate_to_url', { url: body.url, timeout: body.timeout ?? 30_000 })
  })

  for (const [route, command] of [
    ['openBrowser', 'open_browser'],
    ['closeBrowser', 'close_browser'],
    ['getPageInfo', 'get_page_info'],
  ] as const) {
    app.post(`/host/web/${route}`, (request) => run(parseRequest(WebTarget, request.body), command))
  }

  /** Asking must not start a browser. */
  app.post('/host/web/getStatus', async (request) => {
    const browser = access.browser(parseRequest(WebTarget, request.body).device_id)
    const { result } = await access.execute(browser, 'browser_status')
    return { ...result, status: result.status ?? {} }
  })
}
