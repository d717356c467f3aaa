import { randomUUID } from 'node:crypto'
import { LabError, StepOutcome } from '@virtualpytest/shared'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { Screenshot } from '../../drivers/driver.ts'
import { parseRequest } from '../../http/errors.ts'
import type { Devices } from '../devices/index.ts'
import type { Fences } from '../leases/index.ts'
import { artifactName } from './collect-files.ts'
import { keepEvidence } from './keep-evidence.ts'
import type { LiveRun } from './live-run.ts'
import type { Runs } from './runs.ts'

const StepStart = z.object({
  name: z
    .string()
    .min(1)
    .transform((name) => name.slice(0, 500)),
  kind: z.enum(['action', 'verification', 'block']).default('block'),
})
const StepParams = z.object({ position: z.coerce.number().int().min(1) })
const StepFinish = z.object({
  outcome: StepOutcome,
  message: z.string().nullish(),
  details: z.looseObject({}).nullish(),
  screenshot: z.boolean().default(true),
})
const CommandCall = z.object({ command: z.string().min(1).max(200), params: z.looseObject({}).default({}) })
const ScreenshotCall = z.object({ name: z.string().min(1).max(200).nullish() })
const MeasureCall = z.object({ name: z.string().min(1).max(200), value: z.number(), unit: z.string().max(50).default('') })

export interface RunApiContext {
  runs: Runs
  devices: Devices
  fences: Fences
  /** See Link: a process that slept asks about its leases before it touches a device. */
  confirmIfSlept: () => Promise<void>
  /** The bytes behind a URL of this host's media. */
  readPicture: (url: string) => Promise<Buffer>
}

/**
 * What a script can do while it runs, with the key of its run and from this machine only. Every call checks that the
 * run still holds its device, again after each wait: a holder that slept must not touch it.
 */
export function runApiRoutes(app: FastifyInstance, context: RunApiContext): void {
  const { runs, devices, fences, confirmIfSlept, readPicture } = context

  function findRun(request: FastifyRequest): LiveRun {
    if (!isLocal(request)) throw new LabError('forbidden', { text: 'Scripts call from the machine of the host agent.' })
    const key = /^Bearer ([0-9a-f]+)$/.exec(request.headers.authorization ?? '')?.[1]
    const run = key === undefined ? undefined : runs.findByKey(key)
    if (run === undefined) throw new LabError('unauthorized', { text: 'The key of a run is required.' })
    if (run === 'ended' || run.commands.signal.aborted) throw new LabError('stale_token')
    if (fences.isStale(run.order.device_id, run.order.token)) throw new LabError('stale_token')
    return run
  }
  async function requireRun(request: FastifyRequest): Promise<LiveRun> {
    findRun(request)
    await confirmIfSlept()
    return findRun(request)
  }
  /** What a stop of the run cuts short is answered as the end of the lease, not as a failure of the agent. */
  async function whileHeld<T>(run: LiveRun, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    try {
      return await work(run.commands.signal)
    } catch (error) {
      if (run.commands.signal.aborted) throw new LabError('stale_token')
      throw error
    }
  }
  const storeScreenshot = async (run: LiveRun, picture: Screenshot, name: string): Promise<string> => {
    const id = randomUUID()
    const extension = picture.contentType === 'image/png' ? 'png' : 'jpg'
    const fileName = artifactName(/\.(png|jpe?g)$/i.test(name) ? name : `${name}.${extension}`)
    await run.outbox.addArtifact(
      { id, kind: 'screenshot', name: fileName, content_type: picture.contentType },
      { data: picture.data },
    )
    return id
  }

  app.post('/run/steps', async (request, reply) => {
    const run = await requireRun(request)
    const { name, kind } = parseRequest(StepStart, request.body)
    return reply.code(201).send({ success: true, position: run.steps.start(name, kind) })
  })

  app.post('/run/steps/:position/finish', async (request) => {
    const run = await requireRun(request)
    const { position } = parseRequest(StepParams, request.params)
    const { outcome, message, details, screenshot } = parseRequest(StepFinish, request.body)
    run.steps.requireOpen(position)
    let screenshotArtifactId: string | undefined
    let problem: string | undefined
    if (screenshot) {
      // A step without its picture is worth more than no step.
      try {
        const picture = await whileHeld(run, (signal) => devices.require(run.order.device_id).screenshot(signal))
        screenshotArtifactId = await storeScreenshot(run, picture, `step-${position}`)
      } catch (error) {
        if (error instanceof LabError && error.code === 'stale_token') throw error
        problem = error instanceof Error ? error.message : String(error)
      }
    }
    const allDetails = problem === undefined ? details : { ...details, screenshot_error: problem }
    run.steps.finish(position, { outcome, message, details: allDetails, screenshotArtifactId })
    return { success: true, position, screenshot_artifact_id: screenshotArtifactId ?? null }
  })

  app.post('/run/command', async (request) => {
    const run = await requireRun(request)
    const { command, params } = parseRequest(CommandCall, request.body)
    const result = await whileHeld(run, (signal) => devices.require(run.order.device_id).execute(command, params, signal))
    return keepEvidence(run, command, result, readPicture)
  })

  app.post('/run/screenshot', async (request, reply) => {
    const run = await requireRun(request)
    const { name } = parseRequest(ScreenshotCall, request.body)
    const picture = await whileHeld(run, (signal) => devices.require(run.order.device_id).screenshot(signal)).catch(
      asDeviceFailure,
    )
    if (name) void reply.header('x-artifact-id', await storeScreenshot(run, picture, name))
    return reply.type(picture.contentType).send(picture.data)
  })

  app.post('/run/screen', async (request) => {
    const run = await requireRun(request)
    const screen = await whileHeld(run, (signal) => devices.require(run.order.device_id).screen(signal)).catch(asDeviceFailure)
    return { success: true, ...screen }
  })

  app.post('/run/measure', async (request) => {
    const run = await requireRun(request)
    run.steps.measure(parseRequest(MeasureCall, request.body))
    return { success: true }
  })
}

function asDeviceFailure(error: unknown): never {
  if (error instanceof LabError) throw error
  const text = `The device gave no picture: ${error instanceof Error ? error.message : String(error)}`
  throw new LabError('host_error', { text, cause: error })
}

/** From a loopback address, or from the very address that was called: both mean this machine. */
function isLocal(request: FastifyRequest): boolean {
  const { remoteAddress = '', localAddress } = request.socket
  return /^(::ffff:)?127\.|^::1$/.test(remoteAddress) || (remoteAddress !== '' && remoteAddress === localAddress)
}
