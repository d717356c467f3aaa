import { pressesKey, verificationRoutes } from '@virtualpytest/shared'
import type { Mount } from '../../http/mount.ts'
import { admitCall, asHostAddress, assertOwnImage, callDevice, readTarget, withMedia } from '../device-calls/index.ts'
import type { BatchRouteOptions } from './batch.routes.ts'
import { labelOf } from './start-batch.ts'

/** A check ends after at most 115 s on a host. */
const checkTimeoutMs = 120_000

/** One check, answered when it is decided; for scripts and programs that wait. */
export function mountSingleCheckRoutes(mount: Mount, options: BatchRouteOptions): void {
  mount(verificationRoutes.executeOne, async ({ body, params, query, caller, request }) => {
    const target = await readTarget(options.db, caller, { body, query }, { browser: params.kind === 'web' })
    const image = body.image_source_url ?? undefined
    if (image !== undefined) assertOwnImage(image, target.host)
    const { verification } = body
    const userinterface_name = verification.userinterface_name ?? body.userinterface_name ?? undefined
    await admitCall(options, {
      caller,
      identity: body,
      target,
      effect: pressesKey(verification) ? 'changes' : 'reads',
      commands: [verification.command],
      audit: { action: 'verification.execute', details: { command: verification.command } },
      request,
    })
    const named = [{ ...verification, ...(userinterface_name !== undefined && { userinterface_name }) }]
    const references = target.host.agent === null ? {} : await options.referencesFor(caller.teamId, named)
    const from = performance.now()
    const answer = await callDevice(options, target, {
      method: 'POST',
      path: `/host/verification/${params.kind}/execute`,
      body: {
        verification,
        ...(image !== undefined && { image_source_url: asHostAddress(image, target.host) }),
        ...(userinterface_name !== undefined && { userinterface_name }),
        ...(Object.keys(references).length > 0 && { references }),
      },
      timeoutMs: checkTimeoutMs,
    })
    const kept = await options.keepCheck({
      teamId: caller.teamId,
      requestedBy: caller.name ?? body.user_id ?? body.session_id ?? null,
      requestedIp: caller.ip,
      target,
      label: labelOf(verification),
      kind: params.kind,
      tookMs: Math.round(performance.now() - from),
      metadata: { batch: 'verification', ...(userinterface_name !== undefined && { userinterface_name }) },
      body: answer.body,
    })
    return { ...withMedia(answer.body, target.host), ...kept } as { success: boolean }
  })
}
