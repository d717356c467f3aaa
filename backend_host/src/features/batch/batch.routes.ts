import { LabError } from '@virtualpytest/shared'
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import type { Clock } from '../../drivers/driver.ts'
import { parseRequest } from '../../http/errors.ts'
import { toJpeg } from '../../vision/picture.ts'
import type { Blocks } from '../blocks/index.ts'
import type { Access } from '../control/index.ts'
import type { Device } from '../devices/index.ts'
import { type MediaStore, timedName } from '../media/index.ts'
import { GivenReferences } from '../verification/index.ts'
import { Action, actionBatch } from './action-batch.ts'
import { type Execution, type ExecutionKind, type Executions, statusOf } from './executions.ts'
import { Verification, verificationBatch } from './verification-batch.ts'

const target = {
  device_id: z.string().min(1).max(100).default('device1'),
  token: z.int().min(1).nullish(),
  image_source_url: z.string().max(4000).nullish(),
  userinterface_name: z.string().max(300).nullish(),
  references: GivenReferences,
  execution_id: z.uuid().nullish(),
}
const actions = z.array(Action).max(500)
const ActionBatch = z.object({
  ...target,
  actions,
  retry_actions: actions.nullish(),
  failure_actions: actions.nullish(),
})
const VerificationBatch = z.object({ ...target, verifications: z.array(Verification).max(500), beside: z.boolean().nullish() })
const BuilderCall = z.object({ ...target, command: z.string().min(1).max(200), params: z.looseObject({}).nullish() })
const ById = z.object({ id: z.string().max(100) })
const snapshotTimeoutMs = 15_000

export interface BatchContext {
  access: Access
  executions: Executions
  media: MediaStore
  blocks: Blocks
  clock: Clock
}

/** Lists of actions and checks: started by one call, asked about by others. */
export function batchRoutes(app: FastifyInstance, { access, executions, media, blocks, clock }: BatchContext): void {
  const started = ({ id }: Execution) => ({ success: true, execution_id: id, message: 'Started' })

  /** The evidence of a batch is worth having, but a device without picture can still be driven. */
  async function snapshot(device: Device, signal: AbortSignal): Promise<string | null> {
    try {
      const { data } = await device.screenshot(AbortSignal.any([signal, AbortSignal.timeout(snapshotTimeoutMs)]))
      return await media.write(device.capture, 'verification_results', timedName('action', 'jpg'), await toJpeg(data))
    } catch {
      signal.throwIfAborted()
      return null
    }
  }
  /** An unknown execution: 404, or for checks the 200 that clients of original hosts expect. */
  function find(kind: ExecutionKind, request: { params: unknown }): Record<string, unknown> {
    const { id } = parseRequest(ById, request.params)
    const execution = executions.find(id)
    if (execution?.kind === kind) return statusOf(execution)
    const text = `Execution ${id} not found`
    if (kind !== 'verification') throw new LabError('not_found', { text })
    return { success: false, error: text, message: text }
  }

  app.post('/host/action/executeBatch', async (request) => {
    const body = parseRequest(ActionBatch, request.body)
    const device = access.devices.require(body.device_id)
    await access.admit(device, body.token)
    const context = { userinterface: body.userinterface_name, imageSource: body.image_source_url, references: body.references }
    const work = actionBatch({
      device,
      actions: body.actions,
      retryActions: body.retry_actions ?? [],
      failureActions: body.failure_actions ?? [],
      context,
      blocks,
      clock,
      snapshot: (signal) => snapshot(device, signal),
    })
    return started(
      executions.start({ kind: 'action', deviceId: device.id, token: body.token ?? null, id: body.execution_id ?? null }, work),
    )
  })

  app.post('/host/verification/executeBatch', async (request) => {
    const body = parseRequest(VerificationBatch, request.body)
    if (!body.verifications[0]?.userinterface_name && !body.userinterface_name) {
      throw new LabError('validation_error', { text: 'The first verification must carry userinterface_name' })
    }
    const device = access.devices.require(body.device_id)
    await access.admit(device, body.token)
    const work = verificationBatch({
      deviceFor: (kind) => (kind === 'web' && device.capabilities.web === null ? access.browser(undefined) : device),
      verifications: body.verifications,
      context: { userinterface: body.userinterface_name, imageSource: body.image_source_url, references: body.references },
      clock,
    })
    return started(
      executions.start(
        {
          kind: 'verification',
          deviceId: device.id,
          token: body.token ?? null,
          id: body.execution_id ?? null,
          isBeside: body.beside === true,
        },
        work,
      ),
    )
  })

  app.post('/host/builder/execute', async (request) => {
    const body = parseRequest(BuilderCall, request.body)
    const device = access.devices.require(body.device_id)
    await access.admit(device, body.token)
    const work = async (_tell: unknown, signal: AbortSignal) => {
      const result = await blocks.execute(body.command, body.params ?? {}, signal)
      const block = {
        result_success: result.success ? 0 : 1,
        result_output: result.output_data ?? null,
        error_msg: result.success ? null : result.message,
        message: result.message,
        execution_time_ms: result.execution_time,
        block_type: body.command,
      }
      const counts = { total_count: 1, passed_count: result.success ? 1 : 0, failed_count: result.success ? 0 : 1 }
      return { success: result.success, message: result.message, ...counts, results: [block], logs: result.message }
    }
    return started(
      executions.start({ kind: 'builder', deviceId: device.id, token: body.token ?? null, id: body.execution_id ?? null }, work),
    )
  })

  app.get('/host/builder/blocks', () => ({ success: true, blocks: blocks.describe() }))
  for (const kind of ['action', 'verification', 'builder'] as const) {
    app.get(`/host/${kind}/execution/:id/status`, (request) => find(kind, request))
    app.post(`/host/${kind}/execution/:id/cancel`, (request) => {
      const status = find(kind, request)
      return { ...status, cancelled: executions.cancel(parseRequest(ById, request.params).id) }
    })
  }
}
