import { heartbeatEverySeconds } from '@virtualpytest/shared'

/** Periods of the background work in one place, so that tests can shorten them; defaults are the promises of the product. */
export interface Timings {
  sweepMs: number
  /** Nothing expires while the server has been ready for less than this. */
  graceSeconds: number
  databaseWatchMs: number
  /** How often a socket that stands for the presence of a person renews the lease. */
  heartbeatMs: number
  /** How often the server looks whether a backup is due. */
  backupCheckMs: number
  /** How long a host that answered counts as reachable without writing it down again. */
  reachableMs: number
  /** How often a link is asked for a sign of life; after two unanswered ones it is closed, so within three times as long. */
  linkPingMs: number
  linkRenewMs: number
  /** How often the server looks for idle devices that are to be checked. */
  idleCheckMs: number
  /** How often a live picture asks whether its viewer may still see it. */
  viewerRecheckMs: number
  /** A viewer of a live picture that takes nothing for so long is gone. */
  viewerStuckMs: number
}

export const defaultTimings: Timings = {
  sweepMs: 3000,
  graceSeconds: 60,
  databaseWatchMs: 2000,
  heartbeatMs: heartbeatEverySeconds * 1000,
  backupCheckMs: 600_000,
  reachableMs: 10_000,
  linkPingMs: 9_000,
  linkRenewMs: 10_000,
  idleCheckMs: 5_000,
  viewerRecheckMs: 30_000,
  viewerStuckMs: 20_000,
}
