/** Legal moves of a device's status. Offline follows its host; available and leased follow the lease row. */
export const deviceMoves = {
  available: ['leased', 'offline', 'maintenance', 'retired'],
  // By force: the lease ends in the same transaction.
  leased: ['available', 'offline', 'maintenance', 'retired'],
  offline: ['available', 'leased', 'maintenance', 'retired'],
  maintenance: ['available', 'offline', 'retired'],
  retired: [],
} as const
export type DeviceStatus = keyof typeof deviceMoves
