import { setTimeout as sleep } from 'node:timers/promises'
import { heartbeatEverySeconds, type Lease, type LeaseAsk, leaseRoutes } from '@virtualpytest/shared'
import type { ApiClient } from '../api-client.ts'
import { CliError, exitCodes } from '../cli-error.ts'
import { onSignals } from '../on-signals.ts'
import { note, paint, plain } from '../terminal.ts'
import { showTime } from '../units.ts'

export interface HoldOptions {
  leaseId: string
  identity: { user_id: string }
  /** Called once the lease is held, also when it is so from the start. */
  onHeld: (lease: Lease) => Promise<void>
  /** A question whose answer is awaited; a no ends the wait unless `keepsWaiting`. */
  askId?: string
  keepsWaiting?: boolean
}

const dim = (text: string): string => paint('dim', text, process.stderr)
const patientRounds = 40

/**
 * Stands for the presence of a person at a terminal: heartbeats for a lease or a place in the line, news about it, until
 * Ctrl-C gives it back or it is lost. Returns the exit code.
 */
export async function holdLease(api: ApiClient, options: HoldOptions): Promise<number> {
  const { leaseId, identity } = options
  const leaving = new AbortController()
  const stop = onSignals(['SIGINT', 'SIGTERM', 'SIGHUP'], () => leaving.abort())
  const told = new Set<string>()
  let place: number | null = null
  let isHeld = false
  let failures = 0
  try {
    while (!leaving.signal.aborted) {
      try {
        const { lease, asks } = await api.call(leaseRoutes.heartbeat, { params: { lease_id: leaseId }, body: identity })
        failures = 0
        if (lease.status === 'held' && !isHeld) {
          isHeld = true
          await options.onHeld(lease)
        }
        if (lease.status === 'waiting' && lease.position !== place) {
          place = lease.position
          note(place === 1 ? 'You are next in line.' : `You are number ${place} in line.`)
        }
        for (const ask of asks) if (!told.has(ask.id)) tellAsk(ask)
        for (const ask of asks) told.add(ask.id)
        if (!isHeld && options.askId !== undefined && !told.has(options.askId)) {
          const answer = await readAnswer(api, options.askId)
          if (answer) told.add(options.askId)
          if (answer === 'refused' && !options.keepsWaiting) {
            await leave(api, options)
            return exitCodes.failed
          }
        }
      } catch (error) {
        if (!(error instanceof CliError)) throw error
        if (error.answer?.code === 'stale_token') {
          note(plain(error.message))
          return exitCodes.failed
        }
        // The server may restart: it ends nothing in its first minute.
        failures += 1
        if (failures > patientRounds || (error.answer && (error.status ?? 0) < 500)) throw error
        if (failures === 1) note(dim(`${plain(error.message)} Trying again.`))
      }
      const pauseMs = isHeld ? heartbeatEverySeconds * 1000 : 2000
      await sleep(pauseMs, undefined, { signal: leaving.signal }).catch(() => undefined)
    }
    await leave(api, options)
    note(isHeld ? 'Given back.' : 'No longer waiting.')
    return exitCodes.passed
  } finally {
    stop()
  }
}

const leave = (api: ApiClient, { leaseId, identity }: HoldOptions): Promise<unknown> =>
  api.call(leaseRoutes.leave, { params: { lease_id: leaseId }, body: identity })

function tellAsk(ask: LeaseAsk): void {
  note(
    `${paint('yellow', `${plain(ask.asked_by)} asks for the device`, process.stderr)}${ask.message === null ? '' : `: ${plain(ask.message)}`}`,
  )
  note(
    dim(`  until ${showTime(ask.answer_by)}: vpt answer ${ask.id} yes, or no. Silence means yes unless you work on the device.`),
  )
}

async function readAnswer(api: ApiClient, askId: string): Promise<LeaseAsk['status'] | undefined> {
  const { ask } = await api.call(leaseRoutes.readAsk, { params: { ask_id: askId } })
  if (ask.status === 'open') return undefined
  const said = ask.answer_message === null ? '' : `: ${plain(ask.answer_message)}`
  if (ask.status === 'refused') note(`${ask.answered_by_holder ? 'The holder says no' : 'Refused'}${said}`)
  if (ask.status === 'given') note(`${ask.answered_by_holder ? 'The holder says yes' : 'Given'}${said}`)
  return ask.status
}
