import { RunOrder } from '@virtualpytest/shared'
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { parseRequest } from '../../http/errors.ts'
import type { Runs } from './runs.ts'

const RunParams = z.object({ runId: z.uuid() })
const Cancel = z.object({ token: z.int().min(1).nullish(), reason: z.string().nullish() })

/** What the server asks for: start a run, cancel one. */
export function runRoutes(app: FastifyInstance, runs: Runs): void {
  app.post('/host/script/execute', async (request, reply) => {
    const order = parseRequest(RunOrder, request.body)
    await runs.accept(order, { isScriptChecked: true })
    return reply.code(202).send({ success: true, message: 'Script execution started', task_id: order.task_id })
  })

  // Answers at once: the end of the run is told like every other end, by its result.
  app.post('/host/runs/:runId/cancel', (request) => {
    const { runId } = parseRequest(RunParams, request.params)
    const { token, reason } = parseRequest(Cancel, request.body)
    runs.cancel(runId, token ?? undefined, reason?.slice(0, 500) || 'Cancelled on request.')
    return { success: true }
  })
}
