/** What one piece costs beside its bytes, so that many empty ones are not free. */
const perPiece = 256
/** An answer pays for itself, for the frames around its bytes, and for its head. */
const worthOfByte = 1.1
const worthOfAnswer = 8192

export interface LinkAllowance {
  /** Counts what came in. False when the link has sent more than its calls, open ones included, could have asked for. */
  spend: (bytes: number, open: number) => boolean
  /** Bytes of answers that somebody asked for. */
  earn: (bytes: number) => void
  earnAnswer: () => void
}

/**
 * Bounds what a host may send that is no answer: frames and pings that cost the server work, however well formed. A link
 * that answers calls never comes near.
 */
export function createAllowance(options: { perSecond: number; burst: number }, now = () => performance.now()): LinkAllowance {
  let left = options.burst
  let countedAt = now()
  const add = (amount: number): void => {
    left = Math.min(options.burst, left + amount)
  }
  return {
    spend(bytes, open) {
      const at = now()
      add(((at - countedAt) / 1000) * options.perSecond)
      countedAt = at
      left -= bytes + perPiece
      return left + open >= 0
    },
    earn: (bytes) => add(bytes * worthOfByte),
    earnAnswer: () => add(worthOfAnswer),
  }
}
