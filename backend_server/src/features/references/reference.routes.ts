import { type Area, type DeviceTarget, LabError, referenceRoutes } from '@virtualpytest/shared'
import type { FastifyRequest } from 'fastify'
import { type Database, inTransaction } from '../../db/database.ts'
import type { Caller } from '../../http/caller.ts'
import type { Mount } from '../../http/mount.ts'
import { findFreeArtifact, type ObjectStore, sendArtifact } from '../artifacts/index.ts'
import { writeAudit } from '../audit/index.ts'
import {
  admitCall,
  asHostAddress,
  assertOwnImage,
  type CallTarget,
  callDevice,
  type DeviceCallOptions,
  readTarget,
} from '../device-calls/index.ts'
import {
  findReference,
  listReferences,
  type NewReference,
  type ReferenceRow,
  saveReference,
  showReference,
} from './reference.store.ts'
import { readPicture, storePicture } from './reference-picture.ts'

export interface ReferenceRouteOptions extends DeviceCallOptions {
  db: Database
  store: ObjectStore
  serverUrl: () => string
}

const hostTimeoutMs = 60_000

/** References: the host cuts the picture, this server keeps it with the interface it belongs to. */
export function mountReferenceRoutes(mount: Mount, options: ReferenceRouteOptions): void {
  const { db, store, serverUrl } = options
  const show = (row: ReferenceRow) => showReference(row, serverUrl())

  mount(referenceRoutes.saveImage, async ({ body, query, caller, request }) => {
    const target = await readTarget(db, caller, { body, query })
    assertOwnImage(body.image_source_url, target.host)
    await admit(target, body, caller, request)
    const { reference_name, userinterface_name, area, reference_type } = body
    const { image_base64: _picture, ...answer } = await ask(target, '/host/verification/image/saveImage', {
      image_source_url: asHostAddress(body.image_source_url, target.host),
      reference_name,
      userinterface_name,
      reference_type: reference_type ?? 'reference_image',
      ...(area && { area }),
    })
    if (answer.success === false) return answer as { success: boolean }
    const picture = readPicture({ image_base64: _picture })
    const stored = picture && (await storePicture(store, { teamId: caller.teamId, name: reference_name, picture }))
    const row = await save(caller, request, stored?.record, {
      ...common(target, caller, body),
      kind: 'image',
      text: null,
      artifactId: stored?.artifactId ?? null,
      // Only of use where an original host has put the picture into a store of its own.
      hostUrl: stored ? null : textOr(answer.r2_url),
      hostPath: stored ? null : textOr(answer.r2_path),
    })
    const reference = show(row)
    return {
      ...answer,
      success: true,
      message: textOr(answer.message) ?? 'Reference saved',
      reference_name: row.name,
      reference_id: row.id,
      r2_url: reference.r2_url,
      r2_path: reference.r2_path,
      reference,
    }
  })

  mount(referenceRoutes.saveText, async ({ body, query, caller, request }) => {
    const target = await readTarget(db, caller, { body, query })
    await admit(target, body, caller, request)
    const { text, reference_name, userinterface_name, area, image_textdetected_path } = body
    // A text needs no work of the host; an original one keeps its own copy, which its verifications read.
    const answer: Record<string, unknown> =
      target.host.agent === null
        ? await ask(target, '/host/verification/text/saveText', {
            text,
            reference_name,
            userinterface_name,
            ...(area && { area }),
            ...(image_textdetected_path && { image_textdetected_path }),
          })
        : { success: true }
    if (answer.success === false) return answer as { success: boolean }
    const row = await save(caller, request, undefined, {
      ...common(target, caller, body),
      kind: 'text',
      text,
      artifactId: null,
      hostUrl: null,
      hostPath: null,
    })
    return {
      ...answer,
      success: true,
      message: textOr(answer.message) ?? 'Text reference saved',
      reference_name: row.name,
      reference_id: row.id,
      text_data: { text, ...row.area },
      reference: show(row),
    }
  })

  mount(referenceRoutes.list, async ({ body, query, caller }) => {
    const rows = await listReferences(db, {
      teamId: caller.teamId,
      userinterfaceName: body?.userinterface_name ?? query.userinterface_name,
      deviceModel: body?.device_model ?? query.device_model,
    })
    return { success: true, references: rows.map(show) }
  })

  mount(referenceRoutes.read, async ({ query, caller }) => {
    const { userinterface_name: userinterfaceName, device_model: deviceModel } = query
    const rows = await listReferences(db, { teamId: caller.teamId, userinterfaceName, deviceModel })
    return { success: true, references: rows.map(show) }
  })

  mount(referenceRoutes.image, async ({ params, caller, reply }) => {
    const row = await findReference(db, caller.teamId, params.reference_id)
    if (!row || row.artifact_id === null) throw new LabError('reference_not_found')
    return sendArtifact(reply, store, await findFreeArtifact(db, caller.teamId, row.artifact_id))
  })

  async function ask(target: CallTarget, path: string, body: Record<string, unknown>): Promise<Record<string, unknown>> {
    return (await callDevice(options, target, { method: 'POST', path, body, timeoutMs: hostTimeoutMs })).body
  }

  const admit = (target: CallTarget, identity: DeviceTarget, caller: Caller, request: FastifyRequest): Promise<void> =>
    admitCall(options, {
      caller,
      identity,
      target,
      effect: 'reads',
      commands: [],
      audit: { action: 'reference.save', details: {} },
      request,
    })

  function save(
    caller: Caller,
    request: FastifyRequest,
    record: ((tx: Parameters<typeof saveReference>[0]) => Promise<void>) | undefined,
    reference: NewReference,
  ): Promise<ReferenceRow> {
    return inTransaction(db, async (tx) => {
      await record?.(tx)
      const row = await saveReference(tx, reference)
      await writeAudit(tx, {
        caller,
        action: 'reference.save',
        targetKind: 'reference',
        targetId: row.id,
        requestId: request.id,
        details: { name: row.name, userinterface_name: row.userinterface_name, kind: row.kind },
      })
      return row
    })
  }
}

const common = (
  target: CallTarget,
  caller: Caller,
  body: { reference_name: string; userinterface_name: string; area?: Area | null | undefined } & DeviceTarget,
) => ({
  teamId: caller.teamId,
  userinterfaceName: body.userinterface_name,
  name: body.reference_name,
  deviceModel: target.device.model,
  area: body.area ?? null,
  createdBy: caller.name ?? body.user_id ?? null,
})

const textOr = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null)
