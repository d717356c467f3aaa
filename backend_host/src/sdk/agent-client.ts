import { runSettings } from './config.ts'
import { AgentError, textOf } from './failures.ts'

const defaultTimeoutMs = 30_000

/** One call of the run API. Whatever is not a success becomes an AgentError with the code of the answer. */
async function post(path: string, body: object, timeoutMs: number): Promise<Response> {
  const { agentUrl, runKey } = runSettings()
  let response: Response
  try {
    response = await fetch(`${agentUrl}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${runKey}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(timeoutMs),
    })
  } catch (cause) {
    throw new AgentError(`The host agent did not answer ${path}: ${textOf(cause)}`, 'agent_unreachable', { cause })
  }
  if (response.ok) return response
  const text = await response.text()
  const { error, code } = readError(text)
  throw new AgentError(`${path}: ${error ?? `HTTP ${response.status}`}`, code ?? `http_${response.status}`)
}

function readError(text: string): { error: string | null; code: string | null } {
  try {
    const answer: unknown = JSON.parse(text)
    if (typeof answer !== 'object' || answer === null) return { error: null, code: null }
    const error = 'error' in answer && typeof answer.error === 'string' ? answer.error : null
    const code = 'code' in answer && typeof answer.code === 'string' ? answer.code : null
    return { error, code }
  } catch {
    return { error: text.slice(0, 200) || null, code: null }
  }
}

/** The agent is the same program as this SDK, so the shape of its answers is stated, not checked. */
export async function callAgent<Answer>(path: string, body: object, timeoutMs = defaultTimeoutMs): Promise<Answer> {
  const response = await post(path, body, timeoutMs)
  return (await response.json()) as Answer
}

export async function fetchImage(path: string, body: object): Promise<Buffer> {
  const response = await post(path, body, defaultTimeoutMs)
  return Buffer.from(await response.arrayBuffer())
}
