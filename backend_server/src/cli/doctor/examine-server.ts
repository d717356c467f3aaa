import { healthRoutes } from '@virtualpytest/shared'
import { z } from 'zod'
import type { Finding } from './finding.ts'

export interface ServerToExamine {
  server: string
  token: string | undefined
  /** VPT_SERVER names it; otherwise nobody said that one should be running. */
  isNamed: boolean
  timeoutMs: number
}

/** The running server as its users meet it, through whatever stands before it. */
export async function examineServer(target: ServerToExamine): Promise<Finding[]> {
  const health = await examineHealth(target)
  if (health.level === 'fail' || health.text.startsWith('none')) return [health]
  return [health, ...(await Promise.all([examineSystem(target), examineWebSocket(target), examineGrafana(target)])).flat()]
}

const Health = healthRoutes.health.answers[200]

async function examineHealth({ server, isNamed, timeoutMs }: ServerToExamine): Promise<Finding> {
  const name = 'server'
  let response: Response
  try {
    response = await fetch(`${server}/health`, { signal: AbortSignal.timeout(timeoutMs), redirect: 'error' })
  } catch (error) {
    const text = `none answers at ${server} (${reasonOf(error)})`
    return isNamed
      ? { name, level: 'fail', text, cure: 'Is it running? Is VPT_SERVER right? Its log says why it does not start.' }
      : { name, level: 'warn', text, cure: 'Start one with npm start or npm run server, or name another with VPT_SERVER.' }
  }
  const parsed = Health.safeParse(await response.json().catch(() => undefined))
  if (!parsed.success)
    return {
      name,
      level: 'fail',
      text: `${server}/health answers ${response.status}, but not as a VirtualPyTest server`,
      cure: 'Something else answers at this address: correct VPT_SERVER, or what stands before the server.',
    }
  const { status, version, reasons } = parsed.data
  if (status === 'ok') return { name, level: 'ok', text: `version ${version} at ${server}` }
  return {
    name,
    level: 'warn',
    text: `version ${version} at ${server} is degraded: ${reasons.join('; ')}`,
    cure: 'See the lines above and the log of the server.',
  }
}

const System = z.looseObject({ status: z.string(), reasons: z.array(z.string()) })

async function examineSystem({ server, token, timeoutMs }: ServerToExamine): Promise<Finding[]> {
  const name = 'server system'
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
  try {
    const response = await fetch(`${server}${healthRoutes.system.path}`, {
      headers,
      signal: AbortSignal.timeout(timeoutMs),
      redirect: 'error',
    })
    if (response.status === 401 || response.status === 403)
      return [
        {
          name,
          level: 'warn',
          text: `it asks for a token (${response.status})`,
          cure: 'Set VPT_TOKEN; an admin makes one with: vpt token create NAME',
        },
      ]
    const parsed = System.safeParse(await response.json())
    if (!parsed.success || parsed.data.reasons.length === 0) return []
    return [{ name, level: 'warn', text: parsed.data.reasons.join('; '), cure: 'See the lines above and the log of the server.' }]
  } catch (error) {
    return [
      {
        name,
        level: 'fail',
        text: `no answer (${reasonOf(error)})`,
        cure: 'The server answers /health and nothing else: look at its log.',
      },
    ]
  }
}

/** Live pages and original hosts need it, and it is what proxies forget. The first packet proves that the way is open. */
function examineWebSocket({ server, timeoutMs }: ServerToExamine): Promise<Finding> {
  const name = 'WebSocket'
  const cure =
    'Something between here and the server does not pass upgrades on. In nginx: proxy_http_version 1.1 and the headers Upgrade and Connection; long polling still works meanwhile.'
  return new Promise((resolve) => {
    const socket = new WebSocket(`${server.replace(/^http/, 'ws')}/server/socket.io/?EIO=4&transport=websocket`)
    const done = (finding: Finding): void => {
      clearTimeout(timer)
      socket.close()
      resolve(finding)
    }
    const timer = setTimeout(() => done({ name, level: 'fail', text: `no answer within ${timeoutMs / 1000} s`, cure }), timeoutMs)
    socket.addEventListener('message', ({ data }) => {
      const isOpen = typeof data === 'string' && data.startsWith('0{')
      done(
        isOpen
          ? { name, level: 'ok', text: 'opens through the entry port' }
          : { name, level: 'fail', text: 'something else answers', cure },
      )
    })
    socket.addEventListener('error', () => done({ name, level: 'fail', text: 'the upgrade is refused', cure }))
    socket.addEventListener('close', () => done({ name, level: 'fail', text: 'closed at once', cure }))
  })
}

/** Whether it is wanted is seen by its answer: a server without Grafana says that it is switched off. */
async function examineGrafana({ server, timeoutMs }: ServerToExamine): Promise<Finding[]> {
  const name = 'Grafana'
  try {
    const signal = AbortSignal.timeout(timeoutMs)
    const health = await fetch(`${server}/grafana/api/health`, { signal, redirect: 'manual' })
    const body: unknown = await health.json().catch(() => undefined)
    const said = z.looseObject({ code: z.string(), error: z.string() }).safeParse(body).data
    if (said !== undefined && (health.status === 404 || /switched off/.test(said.error)))
      return [{ name, level: 'ok', text: 'switched off (GRAFANA=off)' }]
    if (health.status >= 500)
      return [
        {
          name,
          level: 'warn',
          text: `it does not run (${health.status})`,
          cure: 'See its log (grafana.log), or set GRAFANA=off if it is not wanted.',
        },
      ]
    const page = await fetch(`${server}/grafana/login`, { signal, redirect: 'manual' })
    const text = await page.text()
    const isUnderPath =
      /"appSubUrl":\s*"\/grafana"|<base href="\/grafana\/?"/.test(text) ||
      (page.headers.get('location') ?? '').includes('/grafana')
    return isUnderPath
      ? [{ name, level: 'ok', text: 'answers below /grafana' }]
      : [
          {
            name,
            level: 'fail',
            text: 'its pages do not know that they live below /grafana',
            cure: 'Set GF_SERVER_ROOT_URL to the public address with /grafana/ at its end and GF_SERVER_SERVE_FROM_SUB_PATH=true.',
          },
        ]
  } catch (error) {
    return [
      {
        name,
        level: 'warn',
        text: `no answer (${reasonOf(error)})`,
        cure: 'See its log (grafana.log), or set GRAFANA=off if it is not wanted.',
      },
    ]
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof DOMException && error.name === 'TimeoutError') return 'no answer in time'
  const cause: unknown = error instanceof Error ? (error.cause ?? error) : error
  if (cause instanceof Error && 'code' in cause && typeof cause.code === 'string') return cause.code
  return cause instanceof Error ? cause.message : 'unknown'
}
