/** Legal moves of a lease. The last three are terminal. */
export const leaseMoves = {
  waiting: ['held', 'released', 'expired'],
  held: ['released', 'expired', 'revoked'],
  released: [],
  expired: [],
  revoked: [],
} as const
export type LeaseStatus = keyof typeof leaseMoves

/** How long a lease lives without a sign of its holder, in seconds. */
export const leaseSeconds = {
  /** A person: counted from the last call on that device. */
  user: 300,
  /** A run on an agent that beats every 10 s: three beats. */
  run: 30,
} as const
