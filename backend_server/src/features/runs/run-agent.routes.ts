import { LabError, runAgentRoutes } from '@virtualpytest/shared'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { type Database, inTransaction } from '../../db/database.ts'
import type { Mount } from '../../http/mount.ts'
import { findArtifact, insertArtifact, type ObjectStore, showArtifact, storageKey } from '../artifacts/index.ts'
import { completeTask } from './complete-task.ts'
import { lockOwnedRun, recordProgress } from './record-progress.ts'
import type { RunRow } from './run.store.ts'

export interface RunAgentRouteOptions {
  db: Database
  store: ObjectStore
  onEnded: (run: RunRow) => void
}

const largestArtifact = 64 * 1024 * 1024

/** What hosts report of runs. Every write names the run's token and is refused once the lease has ended. */
export function mountRunAgentRoutes(mount: Mount, { db, onEnded }: RunAgentRouteOptions): void {
  mount(runAgentRoutes.progress, async ({ params, body, caller }) => {
    const { nextLine, cancel } = await inTransaction(db, (tx) => recordProgress(tx, { runId: params.run_id, caller, body }))
    return { success: true, next_line: nextLine, cancel }
  })

  mount(runAgentRoutes.taskComplete, async ({ body, caller, request }) => {
    const { accepted, run } = await completeTask(db, caller, body)
    if (run) {
      request.log.info(
        { run_id: run.id, host_name: run.host_name, device_id: run.device_key, status: run.status, accepted },
        'run result',
      )
      if (accepted) onEnded(run)
    }
    return { success: true, message: accepted ? 'Task completion processed' : 'No open task of this id; nothing was changed' }
  })
}

/** Mounted in a scope of its own, because here any content type is a raw body that streams to the store. */
export function mountArtifactUpload(scope: FastifyInstance, mount: Mount, { db, store }: RunAgentRouteOptions): void {
  scope.removeAllContentTypeParsers()
  scope.addContentTypeParser('*', (_request, _payload, done) => done(null))

  mount(runAgentRoutes.putArtifact, async ({ params, query, caller, request, reply }) => {
    const claim = {
      runId: params.run_id,
      hostName: decodeHeader(header(request, 'x-host-name')),
      token: Number(header(request, 'x-lease-token')),
      caller,
    }
    const run = await inTransaction(db, (tx) => lockOwnedRun(tx, claim))
    const known = await findArtifact(db, run.id, params.artifact_id)
    if (known) {
      request.raw.resume()
      return { success: true, artifact: showArtifact(known) }
    }
    const stored = await store.put(storageKey(run.id, params.artifact_id), request.raw, { maxBytes: largestArtifact })
    // The upload took time: the row is written only if the lease is still held now.
    const artifact = await inTransaction(db, async (tx) => {
      await lockOwnedRun(tx, claim)
      return insertArtifact(tx, {
        id: params.artifact_id,
        teamId: run.team_id,
        runId: run.id,
        kind: query.kind,
        name: query.name,
        contentType: contentType(request),
        ...stored,
      })
    })
    if (!artifact) throw new LabError('conflict', { text: 'This artifact id belongs to another run.' })
    void reply.code(201)
    return { success: true, artifact: showArtifact(artifact) }
  })
}

function header(request: FastifyRequest, name: string): string {
  const value = request.headers[name]
  if (typeof value !== 'string' || value === '') throw new LabError('validation_error', { text: `Header ${name} is required.` })
  return value
}

/** Headers carry ASCII only, so a host percent-encodes its name (which itself never holds a `%`). */
function decodeHeader(value: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    throw new LabError('validation_error', { text: 'Header x-host-name is not valid.' })
  }
}

const contentType = (request: FastifyRequest): string => {
  const type = request.headers['content-type'] ?? 'application/octet-stream'
  return /^[\w.+-]+\/[\w.+-]+(;\s*[\w-]+=[\w-]+)*$/.test(type) ? type : 'application/octet-stream'
}
