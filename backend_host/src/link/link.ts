import { BeatLease, type PingHost, type RegisterHost, RunOrder } from '@virtualpytest/shared'
import type { FastifyBaseLogger } from 'fastify'
import { z } from 'zod'
import { createBell } from '../outbox/bell.ts'
import { type ServerAnswer, type ServerClient, ServerUnreachable } from './server-client.ts'
import type { ServerClock } from './server-clock.ts'

export const defaultBeatSeconds = 10
/** A beat that failed is repeated sooner: the leases it should have renewed live for three beats only. */
const awayBeatMs = 3_000
const registerPauseMs = 5_000
const registerTries = 3
const callTimeoutMs = 10_000
const unregisterTimeoutMs = 2_000
/** A lease lives for 30 s: an agent that has not even tried to renew for so long was paused and must ask first. */
const sleptAfterMs = 25_000

/** Lists inside the answer are read one by one, so that one entry this agent does not understand costs only itself. */
const BeatAnswer = z.looseObject({
  server_time: z.number().optional().catch(undefined),
  lost_leases: z.array(z.unknown()).optional().catch(undefined),
  runs: z.array(z.unknown()).optional().catch(undefined),
})
const LostLease = BeatLease.extend({ reason: z.string().catch('lost') })

export interface LinkContext {
  client: ServerClient
  clock: ServerClock
  log: FastifyBaseLogger
  beatSeconds: number
  describe: () => Promise<RegisterHost>
  /** Changes when what `describe` says about scripts has changed: then the host registers again. */
  fingerprint: () => Promise<string>
  beat: () => Promise<PingHost>
  onLost: (lost: z.infer<typeof LostLease>[]) => void
  onOrders: (orders: RunOrder[]) => void
  onRegistered: () => void
  /** The server answered after a time in which it did not. */
  onReconnected: () => void
}

export interface Link {
  start(): void
  isRegistered(): boolean
  /** After a pause of this process: asks the server about the leases before anything is done with a device. */
  confirmIfSlept(): Promise<void>
  stop(options: { unregister: boolean }): Promise<void>
}

/**
 * The connection to the server, for as long as the agent lives: unregistered -> registered -> (the server forgot us)
 * -> unregistered ... A server that is away changes nothing here; the beat goes on until it answers. Only this loop
 * and `confirmIfSlept` talk to it, one call at a time.
 */
export function createLink(context: LinkContext): Link {
  const { client, clock, log } = context
  const beatMs = context.beatSeconds * 1000
  const stopping = new AbortController()
  const bell = createBell()
  let loop: Promise<void> = Promise.resolve()
  let beating: Promise<void> | undefined
  let registeredAs: string | undefined
  let isAway = false
  let lastRefusal: string | undefined
  /** When the last call ended, with or without an answer. */
  let lastCallAt = performance.now()

  async function call(path: string, body: unknown, timeoutMs = callTimeoutMs): Promise<ServerAnswer | undefined> {
    const startedAt = performance.now()
    try {
      const answer = await client.post(path, body, { timeoutMs, signal: stopping.signal })
      if (isAway && answer.status < 500) {
        isAway = false
        log.info('server is there again')
        context.onReconnected()
      } else if (answer.status >= 500) markAway({ status: answer.status })
      return answer
    } catch (error) {
      if (!(error instanceof ServerUnreachable)) throw error
      if (!stopping.signal.aborted) markAway({ err: error })
      return undefined
    } finally {
      // An answer that took longer than any call may take was read by a process that slept: it proves nothing.
      const endedAt = performance.now()
      if (endedAt - startedAt < sleptAfterMs) lastCallAt = endedAt
    }
  }

  /** What an operator must settle is said once as an error, not again with every beat. */
  function tellRefusal(what: string, { status, body }: ServerAnswer): void {
    const refusal = `${what} ${status} ${String(body.error)}`
    log[refusal === lastRefusal ? 'debug' : 'error']({ status, error: body.error }, what)
    lastRefusal = refusal
  }

  function markAway(facts: Record<string, unknown>): void {
    if (!isAway) log.warn(facts, 'server does not answer; the agent goes on and tries again')
    isAway = true
  }

  /** One registration as the protocol wants it: a refusal waits for the next beat, anything else is tried three times. */
  async function register(tries = registerTries): Promise<void> {
    const fingerprint = await context.fingerprint()
    const body = await context.describe()
    for (let attempt = 1; attempt <= tries && !stopping.signal.aborted; attempt++) {
      const answer = await call('/server/system/register', body)
      if (answer?.status === 200) {
        registeredAs = fingerprint
        lastRefusal = undefined
        context.onRegistered()
        log.info({ devices: body.devices.length, scripts: body.scripts?.length }, 'registered')
        return
      }
      if (answer && answer.status >= 400 && answer.status < 500) {
        tellRefusal('registration refused', answer)
        return
      }
      if (attempt < tries) await bell.wait(withJitter(registerPauseMs), stopping.signal)
    }
  }

  async function ping(): Promise<void> {
    const body = await context.beat()
    const sentAt = Date.now()
    const answer = await call('/server/system/ping', body)
    if (answer?.status === 404 && answer.body.status === 'not_registered') {
      log.warn('the server does not know this host, registering again')
      registeredAs = undefined
      await register()
      return
    }
    if (answer?.status !== 200) {
      if (answer && answer.status < 500) tellRefusal('beat refused', answer)
      return
    }
    const { server_time, lost_leases = [], runs = [] } = BeatAnswer.parse(answer.body)
    if (server_time !== undefined) clock.learn(server_time * 1000, sentAt, Date.now())
    const lost = lost_leases.flatMap((one) => LostLease.safeParse(one).data ?? [])
    const orders = runs.flatMap((one) => RunOrder.safeParse(one).data ?? [])
    if (lost.length > 0) context.onLost(lost)
    if (orders.length > 0) context.onOrders(orders)
  }

  async function beatOnce(): Promise<void> {
    if (registeredAs === undefined) await register()
    // News about scripts can wait for the next beat; the leases that this beat renews cannot wait for the news.
    else if (registeredAs !== (await context.fingerprint())) await register(1)
    if (registeredAs !== undefined && !stopping.signal.aborted) await ping()
  }

  /** One beat at a time: whoever wants one while it goes on gets that one. */
  function beat(): Promise<void> {
    beating ??= beatOnce()
      .catch((error: unknown) => log.error({ err: error }, 'beat failed inside the agent'))
      .finally(() => {
        beating = undefined
      })
    return beating
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      const startedAt = performance.now()
      await beat()
      const restMs = startedAt + withJitter(isAway ? Math.min(awayBeatMs, beatMs) : beatMs) - performance.now()
      if (restMs > 0) await bell.wait(restMs, stopping.signal)
    }
  }

  return {
    start() {
      loop = run()
    },
    isRegistered: () => registeredAs !== undefined,
    async confirmIfSlept() {
      // Twice, because the first one may have been under way before the pause.
      for (let attempt = 0; attempt < 2 && performance.now() - lastCallAt > sleptAfterMs; attempt++) await beat()
    },
    async stop({ unregister }) {
      stopping.abort()
      await loop
      await beating
      if (!unregister || registeredAs === undefined) return
      const { host_name, boot_id } = await context.beat()
      const body = { host_name, timestamp: Date.now() / 1000, boot_id }
      // The host ignores the answer; a server that is away notices the missing beats.
      await client.post('/server/system/unregister', body, { timeoutMs: unregisterTimeoutMs }).catch(() => undefined)
    },
  }
}

/** Hosts that lost their server together must not come back together. Never later than asked, so that beats are not missed. */
const withJitter = (ms: number): number => ms * (0.9 + Math.random() * 0.1)
