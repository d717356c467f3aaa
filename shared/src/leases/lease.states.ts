/** Legal moves of a lease. The last three are terminal. */
export const leaseMoves = {
  waiting: ['held', 'released', 'expired'],
  held: ['released', 'expired', 'revoked'],
  released: [],
  expired: [],
  revoked: [],
} as const
export type LeaseStatus = keyof typeof leaseMoves

/** Legal moves of the question whether a holder gives a device back. */
export const leaseAskMoves = {
  open: ['given', 'refused', 'void'],
  given: [],
  refused: [],
  void: [],
} as const
export type LeaseAskStatus = keyof typeof leaseAskMoves

/** How long a lease lives without a sign of its holder, in seconds. */
export const leaseSeconds = {
  /** A person whose client sends no heartbeats: counted from the last call on that device. */
  user: 300,
  /** A person whose client does: three beats of 15 s. Also a place in the line. */
  heartbeat: 45,
  /** A run on an agent that beats every 10 s: three beats. */
  run: 30,
} as const

/** What clients do to stay well inside `leaseSeconds.heartbeat`. */
export const heartbeatEverySeconds = 15
