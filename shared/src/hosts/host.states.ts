/** Legal moves of a host. `retired` is an admin's decision; on the wire draining shows as online and retired hosts are not listed. */
export const hostMoves = {
  online: ['draining', 'offline', 'retired'],
  draining: ['offline', 'online', 'retired'],
  offline: ['online', 'retired'],
  retired: ['offline'],
} as const
export type HostStatus = keyof typeof hostMoves

/** Seconds without a sign of life after which a host is offline: three beats of our agents, two missed pings of an original host. */
export const offlineAfterSeconds = (pingIntervalSeconds: number | null): number =>
  pingIntervalSeconds === null ? 660 : Math.max(5, 3 * pingIntervalSeconds)
