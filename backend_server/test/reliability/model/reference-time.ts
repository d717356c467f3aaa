import { earlier, type MAsk, type MDevice, type MHost, type MRun, patienceSeconds, second } from './reference-parts.ts'

/** How time goes by in the model, and the moments at which something may end. */
export function createTime(core: {
  hosts: readonly MHost[]
  devices: readonly MDevice[]
  asks: readonly MAsk[]
  openRuns: () => MRun[]
}) {
  const { hosts, devices, asks, openRuns } = core
  /** When people in lines fall silent: from then on they are passed over. */
  const placeBorders = (): number[] => devices.flatMap((device) => device.places.map((place) => place.expiresAt))

  return {
    tick(seconds: number): void {
      for (const run of openRuns()) {
        run.deadlineAt -= seconds * second
        run.aliveUntil -= seconds * second
        run.assignedAt -= seconds * second
        if (run.cancelAt !== undefined) run.cancelAt -= seconds * second
        run.queuedAt = earlier(run.queuedAt, seconds * second)
      }
      const by = seconds * second
      for (const { lease, places } of devices) {
        if (lease) {
          lease.expiresAt -= by
          lease.grantedAt -= by
          lease.keptUntil -= by
        }
        for (const place of places) {
          place.expiresAt -= by
          place.since = earlier(place.since, by)
        }
      }
      for (const ask of asks) ask.answerBy -= by
      for (const host of hosts) host.lastSeenAt -= seconds * second
    },
    /** The moments at which something may end: comparisons close to them would depend on milliseconds. */
    borders(): number[] {
      return [
        ...openRuns().flatMap((run) => [
          run.deadlineAt,
          run.deadlineAt + 15 * second,
          run.aliveUntil,
          (run.cancelAt ?? Number.NEGATIVE_INFINITY) + 30 * second,
        ]),
        ...devices.flatMap(({ lease }) => lease?.expiresAt ?? []),
        ...asks.filter((ask) => ask.status === 'open').map((ask) => ask.answerBy),
        ...placeBorders(),
        ...hosts.filter((host) => host.isOnline).map((host) => host.lastSeenAt + patienceSeconds(host) * second),
      ]
    },
    placeBorders,
    /** Moments that matter to the orders a beat brings. */
    orderBorders: (host: MHost): number[] =>
      openRuns()
        .filter((run) => run.device.host === host && run.status === 'assigned')
        .flatMap((run) => [run.assignedAt + 2 * second, run.aliveUntil]),
  }
}
