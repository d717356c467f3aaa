/**
 * Hands pictures on at the pace of whoever takes them. While the taker is busy, or a picture would come too early, only the
 * newest one waits: a slow viewer gets fewer pictures, never older ones, and the last of a row is never the one left out.
 */
export interface NewestOnly<Picture> {
  offer(picture: Picture): void
  /** The taker is free again. */
  free(): void
  close(): void
}

export function newestOnly<Picture>(options: {
  leastGapMs: number
  isBusy: () => boolean
  take: (picture: Picture) => void
  now?: () => number
}): NewestOnly<Picture> {
  const { leastGapMs, isBusy, take, now = () => performance.now() } = options
  let waiting: { picture: Picture } | undefined
  let takenAt = Number.NEGATIVE_INFINITY
  let timer: NodeJS.Timeout | undefined

  function handOn(): void {
    clearTimeout(timer)
    if (!waiting || isBusy()) return
    const earlyMs = takenAt + leastGapMs - now()
    if (earlyMs > 0) {
      timer = setTimeout(handOn, Math.ceil(earlyMs))
      return
    }
    const { picture } = waiting
    waiting = undefined
    takenAt = now()
    take(picture)
  }

  return {
    offer(picture) {
      waiting = { picture }
      handOn()
    },
    free: handOn,
    close() {
      clearTimeout(timer)
      waiting = undefined
    },
  }
}
