import { patienceMs, until } from '../until.ts'

export interface Answer {
  /** 0: nobody answered. */
  status: number
  body: Record<string, unknown>
  text: string
}

export interface Target {
  host_name: string
  device_id: string
}

/** Somebody at a browser or a terminal, with an API token. */
export interface Person {
  readonly name: string
  get: (path: string) => Promise<Answer>
  /** A call of the protocol; the path is what follows /server/. */
  post: (path: string, body: object) => Promise<Answer>
  /** The same for a call that must work. */
  mustPost: (path: string, body: object) => Promise<Record<string, unknown>>
  /** Runs checks in the background as the web app does, and waits for their end. */
  check: (target: Target, verification: Record<string, unknown>) => Promise<{ outcome: string; result: CheckResult }>
  open: (path: string) => Promise<Response>
}

export interface CheckResult {
  results: { message?: string; sourceImageUrl?: string; resultOverlayUrl?: string; matching_result?: number }[]
}

export function createPerson({ name, token, url }: { name: string; token: string; url: string }): Person {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  const open = (path: string, init: RequestInit = {}): Promise<Response> =>
    fetch(`${url}${path}`, { redirect: 'manual', headers, ...init })
  const call = async (path: string, init: RequestInit = {}): Promise<Answer> => {
    try {
      const response = await open(path, { signal: AbortSignal.timeout(patienceMs), ...init })
      const text = await response.text()
      return { status: response.status, body: parse(text), text }
    } catch (error) {
      return { status: 0, body: {}, text: String(error) }
    }
  }
  const person: Person = {
    name,
    open,
    get: (path) => call(path),
    post: (path, body) => call(`/server/${path}`, { method: 'POST', body: JSON.stringify(body) }),
    async mustPost(path, body) {
      const answer = await person.post(path, body)
      if (answer.status !== 200 || answer.body.success !== true)
        throw new Error(`${name}: ${path} answered ${answer.status} ${answer.text.slice(0, 500)}`)
      return answer.body
    },
    async check(target, verification) {
      const { execution_id: id } = await person.mustPost('verification/executeBatch', {
        ...target,
        verifications: [{ userinterface_name: 'end-to-end', ...verification }],
      })
      return until('the check ends', async () => {
        const { body, text } = await person.get(`/server/verification/execution/${String(id)}/status`)
        if (body.status === 'running') return undefined
        if (!body.result) throw new Error(`${name}: the check could not be made: ${text.slice(0, 500)}`)
        return { outcome: String(body.outcome), result: body.result as CheckResult }
      })
    },
  }
  return person
}

function parse(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>
  } catch {
    return {}
  }
}
