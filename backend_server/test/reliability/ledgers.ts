import type { FakeHost, LedgerEntry } from '../fakes/fake-host.ts'

/*
 * The judge that owes the server nothing: what the hosts wrote down themselves.
 */

export interface Attempt {
  runId: string
  device: string
  token: number
  startedAt: number
  /** When the host stopped working on it: it finished, was cancelled or was told that it lost the device. */
  endedAt: number
}

/** Every start of a script on every host, with the moment of its end (Infinity while it goes on). */
export function attemptsOf(hosts: readonly FakeHost[]): Attempt[] {
  return hosts.flatMap((host) =>
    host.ledger
      .filter((entry) => entry.event === 'started')
      .map((start) => ({
        runId: start.run_id ?? '',
        device: `${host.options.name}:${start.device_id ?? ''}`,
        token: start.token ?? 0,
        startedAt: start.at,
        endedAt: host.ledger.find((entry) => isEndOf(entry, start))?.at ?? Number.POSITIVE_INFINITY,
      })),
  )
}

const isEndOf = (entry: LedgerEntry, start: LedgerEntry): boolean =>
  entry.run_id === start.run_id && (entry.event === 'finished' || entry.event === 'cancelled' || entry.event === 'lost')

/** What must never stand in the ledgers: a run started twice, or a device with two runs at once, or tokens that go back. */
export function problemsOf(hosts: readonly FakeHost[]): string[] {
  const problems: string[] = []
  const attempts = attemptsOf(hosts).toSorted((one, other) => one.startedAt - other.startedAt)
  const starts = new Map<string, number>()
  const latest = new Map<string, Attempt>()
  for (const attempt of attempts) {
    const count = (starts.get(attempt.runId) ?? 0) + 1
    starts.set(attempt.runId, count)
    if (count > 1) problems.push(`run ${attempt.runId} was started ${count} times`)
    const before = latest.get(attempt.device)
    if (before && before.endedAt > attempt.startedAt)
      problems.push(`${attempt.device}: run ${attempt.runId} was started while ${before.runId} was at work`)
    if (before && before.token >= attempt.token)
      problems.push(`${attempt.device}: token ${attempt.token} came after ${before.token}`)
    latest.set(attempt.device, attempt)
  }
  return problems
}

/** Results the server acknowledged, by run. */
export function acceptedResults(hosts: readonly FakeHost[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const entry of hosts.flatMap((host) => host.ledger)) {
    if (entry.event === 'result_accepted' && entry.run_id) counts.set(entry.run_id, (counts.get(entry.run_id) ?? 0) + 1)
  }
  return counts
}
