import { randomUUID } from 'node:crypto'
import type { FastifyBaseLogger } from 'fastify'
import { type NewArtifact, type ObjectStore, storageKey } from '../artifacts/index.ts'
import { type CallTarget, hostMediaPath } from '../device-calls/index.ts'
import { type HostStreams, hostAddress } from '../hosts/index.ts'
import type { HostStatus } from './host-status.ts'

export interface EvidenceOptions {
  hosts: Pick<HostStreams, 'stream'>
  store: ObjectStore
  apiKey: string | undefined
  log: FastifyBaseLogger
}

type EvidenceRun = { id: string; team_id: string }

const fields = {
  source: 'sourceImageUrl',
  reference: 'referenceImageUrl',
  overlay: 'resultOverlayUrl',
  screen: 'screenshot_path',
} as const
const mostPictures = 200
const atOnce = 4
const largestPicture = 8 * 1024 * 1024
const pictureTimeoutMs = 5_000
/** The end of a batch waits for its pictures no longer than this; what is missing then stays on the host. */
const allTimeoutMs = 10_000

/**
 * The pictures of a batch that has ended, copied here: hosts keep theirs for minutes. They are read the way everything of a
 * host is, so also over its link. Each result gets `evidence` with their addresses at this server.
 */
export async function keepEvidence(
  options: EvidenceOptions,
  { run, target }: { run: EvidenceRun; target: CallTarget },
  said: HostStatus,
): Promise<{ said: HostStatus; artifacts: NewArtifact[] }> {
  const results = Array.isArray(said.result?.results) ? (said.result.results as Record<string, unknown>[]) : []
  const paths = new Set<string>()
  const pathOf = (one: Record<string, unknown>, field: string): string | undefined => {
    const address = one[field]
    const path = typeof address === 'string' ? hostMediaPath(address, target.host) : undefined
    return path !== undefined && /\.(jpe?g|png)$/.test(path) ? path : undefined
  }
  for (const one of results) {
    for (const field of Object.values(fields)) {
      const path = pathOf(one, field)
      if (path !== undefined && paths.size < mostPictures) paths.add(path)
    }
  }
  if (paths.size === 0) return { said, artifacts: [] }
  const kept = await copyAll(options, { run, target }, [...paths])
  const shown = results.map((one) => {
    const found = Object.entries(fields).flatMap(([name, field]) => {
      const artifact = kept.get(pathOf(one, field) ?? '')
      return artifact ? [[name, `/server/runs/${run.id}/artifacts/${artifact.id}`] as const] : []
    })
    return found.length === 0 ? one : { ...one, evidence: Object.fromEntries(found) }
  })
  return { said: { ...said, result: { ...said.result, results: shown } }, artifacts: [...kept.values()] }
}

async function copyAll(
  { hosts, store, apiKey, log }: EvidenceOptions,
  { run, target }: { run: EvidenceRun; target: CallTarget },
  paths: string[],
): Promise<Map<string, NewArtifact>> {
  const kept = new Map<string, NewArtifact>()
  const late = AbortSignal.timeout(allTimeoutMs)
  const host = hostAddress(target.host, apiKey)

  async function copy(path: string): Promise<void> {
    const call = { method: 'GET' as const, path, timeoutMs: pictureTimeoutMs, signal: late }
    const { status, body } = await hosts.stream(host, call)
    if (status !== 200) {
      body.destroy()
      throw new Error(`the host answered ${status}`)
    }
    const id = randomUUID()
    const stored = await store.put(storageKey(run.id, id), body, { maxBytes: largestPicture })
    const contentType = path.endsWith('.png') ? 'image/png' : 'image/jpeg'
    const name = path.slice(path.lastIndexOf('/') + 1).slice(0, 200)
    kept.set(path, { id, teamId: run.team_id, runId: run.id, kind: 'screenshot', name, contentType, ...stored })
  }

  async function worker(): Promise<void> {
    for (let path = paths.shift(); path !== undefined && !late.aborted; path = paths.shift()) {
      await copy(path).catch((error: unknown) =>
        log.debug({ err: error, run_id: run.id }, 'a picture of a batch stays on its host'),
      )
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  return kept
}
