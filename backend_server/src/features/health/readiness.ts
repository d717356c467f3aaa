/** What the server knows about itself: asked by health checks, written by the start, the database watch and the stop. */
export interface Readiness {
  database: 'connected' | 'disconnected' | 'unavailable'
  /** What the start is doing, for people who wait; null once it is done. */
  starting: string | null
  draining: boolean
}

export const createReadiness = (): Readiness => ({ database: 'unavailable', starting: 'starting', draining: false })

export const isReady = (state: Readiness): boolean => state.database === 'connected' && state.starting === null && !state.draining

export function reasonsNotReady(state: Readiness): string[] {
  const reasons = []
  if (state.draining) reasons.push('the server is stopping')
  if (state.starting !== null) reasons.push(state.starting)
  // What the start says of the database is more precise: a server that migrates it does reach it.
  else if (state.database !== 'connected') reasons.push('the database cannot be reached')
  return reasons
}
