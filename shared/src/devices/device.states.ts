/** Legal moves of a device's status. Offline follows its host; available and leased follow the lease row. */
export const deviceMoves = {
  available: ['leased', 'offline', 'maintenance', 'retired'],
  leased: ['available', 'offline', 'retired'],
  offline: ['available', 'leased', 'maintenance', 'retired'],
  maintenance: ['available', 'offline', 'retired'],
  retired: [],
} as const
export type DeviceStatus = keyof typeof deviceMoves
