import { runRoutes } from '@virtualpytest/shared'
import type { ApiClient } from '../api-client.ts'
import { CliError } from '../cli-error.ts'

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const newest = 500

export const runArgument = 'id of a run, its first characters, or "last" for the newest run'

/** Ids are long; people type the beginning, or mean the newest. */
export async function resolveRunId(api: ApiClient, text: string): Promise<string> {
  if (uuid.test(text)) return text.toLowerCase()
  if (text === 'last') {
    const { runs } = await api.call(runRoutes.list, { query: { limit: 1 } })
    const [run] = runs
    if (!run) throw new CliError('There is no run yet.')
    return run.id
  }
  if (!/^[0-9a-f-]{4,35}$/i.test(text)) {
    throw new CliError(`"${text}" is neither the id of a run nor its beginning (4 characters or more).`, {
      hints: ['What there is: vpt runs'],
    })
  }
  const { runs } = await api.call(runRoutes.list, { query: { limit: newest } })
  const found = runs.filter((run) => run.id.startsWith(text.toLowerCase()))
  if (found.length === 1 && found[0]) return found[0].id
  const message =
    found.length === 0
      ? `None of the newest ${newest} runs begins with ${text}.`
      : `${found.length} runs begin with ${text}: write more of it.`
  throw new CliError(message, { hints: ['What there is: vpt runs'] })
}
