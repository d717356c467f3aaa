import { isFinalRun, type RunStatus, runMoves } from '@virtualpytest/shared'
import { sql } from 'kysely'
import type { Database } from '../../src/db/database.ts'
import { rowsOf } from '../../src/db/query.ts'

/*
 * Every change of a lease or run writes its event in the same transaction, and the numbers of events are the order of the
 * commits. So the list of events is the history as it really was, whatever ran at once, and this checker replays it.
 */

interface EventRow {
  seq: number
  type: string
  subject_id: string
  data: Record<string, unknown>
}
interface Device {
  fence: number
  lease: { id: string; token: number; holder: string; kind: string } | undefined
}
interface Run {
  status: RunStatus
  device: string
  token: number | undefined
}

export interface History {
  events: number
  grants: number
  runs: Map<string, Run>
  problems: string[]
}

export async function readHistory(db: Database): Promise<History> {
  const rows = await rowsOf(db, sql<EventRow>`select seq, type, subject_id, data from events order by seq`)
  return checkHistory(rows)
}

export function checkHistory(rows: readonly EventRow[]): History {
  const devices = new Map<string, Device>()
  const runs = new Map<string, Run>()
  const problems: string[] = []
  let grants = 0
  let last = 0

  function deviceOf(event: EventRow): { name: string; device: Device } {
    const name = `${String(event.data.host_name)}:${String(event.data.device_id)}`
    const device = devices.get(name) ?? { fence: 0, lease: undefined }
    devices.set(name, device)
    return { name, device }
  }
  const openOn = (name: string): [string, Run][] =>
    [...runs].filter(([, run]) => run.device === name && (run.status === 'assigned' || run.status === 'running'))

  function granted(event: EventRow, complain: (what: string) => void): void {
    const { name, device } = deviceOf(event)
    const token = Number(event.data.token)
    const lease = { id: event.subject_id, token, holder: String(event.data.holder), kind: String(event.data.holder_kind) }
    if (event.data.handed_over === true) {
      if (device.lease?.id !== lease.id) complain(`${name} was handed over without being held`)
    } else {
      grants += 1
      if (device.lease) complain(`${name} was granted with token ${token} while token ${device.lease.token} holds it`)
      if (token !== device.fence + 1) complain(`${name} was granted with token ${token} after ${device.fence}`)
      for (const [id] of openOn(name)) complain(`${name} was granted while run ${id} of an earlier lease is open`)
      device.fence = Math.max(device.fence, token)
    }
    device.lease = lease
  }

  function endedLease(event: EventRow, complain: (what: string) => void): void {
    const { name, device } = deviceOf(event)
    if (device.lease?.id !== event.subject_id) complain(`${name}: a lease ended that did not hold it`)
    device.lease = undefined
  }

  function moved(event: EventRow, complain: (what: string) => void): void {
    const { name, device } = deviceOf(event)
    const id = event.subject_id
    const known = runs.get(id)
    if (event.type === 'run.queued') {
      if (known) complain(`run ${id} was queued twice`)
      runs.set(id, { status: 'queued', device: name, token: undefined })
      return
    }
    if (!known) complain(`${event.type} of run ${id}, which was never queued`)
    if (!known || event.type === 'run.report') return
    if (isFinalRun(known.status)) {
      complain(`${event.type} of run ${id} after its end (${known.status})`)
      return
    }
    const to = event.data.status as RunStatus
    if (event.type !== 'run.step' && event.type !== 'run.log' && event.type !== 'run.cancel_requested') {
      if (!(runMoves[known.status] as readonly RunStatus[]).includes(to)) complain(`run ${id} went from ${known.status} to ${to}`)
      known.status = to
    }
    if (event.type === 'run.assigned') {
      known.token = Number(event.data.token)
      if (openOn(name).length > 1) complain(`${name} has two open runs`)
      if (device.lease?.kind === 'run' && device.lease.holder !== id) complain(`run ${id} has the lease of another run`)
    }
    if (event.type !== 'run.finished' && known.token !== undefined && device.lease?.token !== known.token) {
      complain(
        `${event.type} of run ${id} was accepted with token ${known.token} while ${device.lease?.token ?? 'nobody'} holds ${name}`,
      )
    }
  }

  for (const event of rows) {
    const complain = (what: string): void => void problems.push(`event ${event.seq}: ${what}`)
    if (event.seq !== last + 1) complain(`the number after ${last} is ${event.seq}`)
    last = event.seq
    if (event.type === 'lease.granted') granted(event, complain)
    else if (['lease.released', 'lease.expired', 'lease.revoked'].includes(event.type)) endedLease(event, complain)
    else if (event.type.startsWith('run.')) moved(event, complain)
  }
  return { events: rows.length, grants, runs, problems }
}
