/**
 * Legal moves of a device's health. Only checks say good or bad; a fault of the lab while the device was used makes a good one
 * suspect, and so does a first check that finds it broken: one glitch takes no device away. Bad devices get no runs.
 */
export const deviceHealthMoves = {
  unknown: ['good', 'bad'],
  good: ['suspect'],
  suspect: ['good', 'bad'],
  // A person has mended it, or believes so, and asks for a check.
  bad: ['unknown'],
} as const
export type DeviceHealthState = keyof typeof deviceHealthMoves
