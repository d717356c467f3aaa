import { blackPercent, changedPercent, darkPercent, type SmallGray } from './motion.ts'

/** What a change of channel looks like: the picture goes black or stands still for a while, then another one moves. */
export interface Zap {
  kind: 'black' | 'freeze'
  /** When black or standstill was seen first, and when the new picture was. */
  startedAt: number
  endedAt: number
  /** Longest time between two looks around both: neither moment is known better than this. */
  accuracyMs: number
}

const stillPercent = 0.3
/** A shorter standstill is a still moment of the program. */
const leastFreezeMs = 300
/** Another channel is another picture; after a stutter or a slow moment the same one goes on. */
const newPicturePercent = 15

interface Pause {
  kind: Zap['kind']
  startedAt: number
  lastAt: number
  picture: SmallGray
}

const isZap = ({ kind, startedAt, lastAt, picture }: Pause, now: SmallGray): boolean =>
  kind === 'black' || (lastAt - startedAt >= leastFreezeMs && changedPercent(picture, now) >= newPicturePercent)

/**
 * Looks at pictures in turn. States: waiting -(black or still)-> paused -(a picture that differs)-> back -(it moves)->
 * done. A standstill that was too short leads back to waiting, black after a picture came back to paused.
 */
export function createZapWatch() {
  let before: { at: number; picture: SmallGray } | null = null
  let pause: Pause | null = null
  let back: { zap: Zap; picture: SmallGray } | null = null
  let accuracyMs = 0

  function judge(at: number, picture: SmallGray): Zap | null {
    const isBlack = darkPercent(picture) >= blackPercent
    const isStill = before !== null && changedPercent(before.picture, picture) < stillPercent
    accuracyMs = Math.max(accuracyMs, before === null ? 0 : at - before.at)
    if (back && !isBlack) {
      if (changedPercent(back.picture, picture) >= stillPercent) return back.zap
      return null
    }
    back = null
    if (isBlack) {
      pause = { kind: 'black', startedAt: pause?.kind === 'black' ? pause.startedAt : at, lastAt: at, picture }
      return null
    }
    if (isStill) {
      pause ??= { kind: 'freeze', startedAt: before?.at ?? at, lastAt: at, picture }
      pause.lastAt = at
      return null
    }
    if (pause && isZap(pause, picture)) {
      back = { zap: { kind: pause.kind, startedAt: pause.startedAt, endedAt: at, accuracyMs }, picture }
    } else accuracyMs = 0
    pause = null
    return null
  }

  return {
    /** The change of channel, once it is complete. */
    add(at: number, picture: SmallGray): Zap | null {
      const zap = judge(at, picture)
      before = { at, picture }
      return zap
    },
    /** Why there is none yet. */
    state: (): 'nothing' | 'black' | 'freeze' | 'still' => (back ? 'still' : (pause?.kind ?? 'nothing')),
  }
}
