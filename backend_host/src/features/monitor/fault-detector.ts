import { blackPercent, changedPercent, darkPercent, type SmallGray } from '../../vision/motion.ts'

export type FaultType = 'blackscreen' | 'freeze' | 'audio_loss'
export interface Sample {
  /** ms of Date.now() */
  at: number
  picture: SmallGray
  /** 0 to 100; null: nothing can be heard. */
  sound: number | null
  /** When a command last went to the device. */
  commandAt: number
}
/** Why a fault ended: a look saw its end, nobody watches any more, or the device gives no picture any more. */
export type EndReason = 'seen' | 'stream_stopped' | 'stream_lost'
export interface FaultChange {
  type: FaultType
  state: 'raised' | 'resolved'
  startedAt: number
  endedAt: number | null
  endReason: EndReason | null
  /** Looks in a row that saw the fault. */
  count: number
}
export interface Seen {
  blackscreen_percentage: number
  blackscreen: boolean
  motion_percent: number
  freeze: boolean
  audio: boolean | null
  sound_level: number | null
}

/** How long something must last before it is a fault and not a part of the program. */
export type FaultDelays = Readonly<Record<FaultType, number>>
export const faultDelays: FaultDelays = { blackscreen: 10_000, freeze: 30_000, audio_loss: 20_000 }

const stillPercent = 0.3
const playingPercent = 1.5
/** A picture that moved in this many of the last looks was playing; a menu in which somebody moves is not. */
const playingLooks = { of: 8, least: 4 }
/** What begins so soon after a command is its doing: pause, home, standby. */
const commandMs = 3_000

/**
 * Tells faults from what programs and people do. Black is a fault whenever it lasts. A standstill is one only where a
 * picture was playing and nobody did anything: menus stand still all day. Silence is one only while the picture moves
 * and after sound was heard. A fault ends with the first look that does not see it.
 */
export function createFaultDetector(delays: FaultDelays = faultDelays) {
  const since = new Map<FaultType, { at: number; count: number; isRaised: boolean }>()
  let before: SmallGray | null = null
  let motions: number[] = []
  let standstill: { at: number; isFault: boolean } | null = null
  let hasHeard = false

  function judge(type: FaultType, isSeen: boolean, at: number): FaultChange[] {
    const open = since.get(type)
    if (!isSeen) {
      since.delete(type)
      if (!open?.isRaised) return []
      return [resolved(type, open, at, 'seen')]
    }
    const now = open ?? { at, count: 0, isRaised: false }
    now.count += 1
    since.set(type, now)
    if (now.isRaised || at - now.at < delays[type]) return []
    now.isRaised = true
    return [{ type, state: 'raised', startedAt: now.at, endedAt: null, endReason: null, count: now.count }]
  }

  /** One picture alone does not tell a standstill from a movie: a freeze that was raised before counts until a second one. */
  function adopted(): typeof standstill {
    const open = since.get('freeze')
    return open?.isRaised ? { at: open.at, isFault: true } : null
  }

  return {
    see({ at, picture, sound, commandAt }: Sample): { changes: FaultChange[]; seen: Seen } {
      const dark = darkPercent(picture)
      const motion = before ? changedPercent(before, picture) : 100
      const isBlack = dark >= blackPercent
      const isStill = before !== null && motion < stillPercent && !isBlack
      const wasPlaying = motions.filter((one) => one >= playingPercent).length >= playingLooks.least
      // How it began decides what a standstill is; a command that comes later explains it away.
      if (before !== null && !isStill) standstill = null
      else if (!isStill) standstill = adopted()
      else standstill ??= { at, isFault: wasPlaying && at - commandAt > commandMs }
      if (standstill && commandAt > standstill.at) standstill.isFault = false
      const isFreeze = standstill?.isFault === true && !isBlack
      motions = [...motions, motion].slice(-playingLooks.of)
      if ((sound ?? 0) > 0) hasHeard = true
      const isMoving = motion >= stillPercent && before !== null
      const quiet = since.get('audio_loss')
      const isSilent = sound === 0 && hasHeard && !isBlack && (isMoving || quiet?.isRaised === true)
      before = picture
      const changes = [
        ...judge('blackscreen', isBlack, at),
        ...judge('freeze', isFreeze, at),
        ...judge('audio_loss', isSilent, at),
      ]
      const seen = {
        blackscreen_percentage: dark,
        blackscreen: isBlack,
        motion_percent: Math.round(motion * 10) / 10,
        freeze: isFreeze,
        audio: sound === null ? null : sound > 0,
        sound_level: sound,
      }
      return { changes, seen }
    },
    /** A fault that an earlier life of this agent raised: the next looks say whether it is still there. */
    adopt(type: FaultType, startedAt: number, count: number): void {
      since.set(type, { at: startedAt, count, isRaised: true })
      if (type === 'audio_loss') hasHeard = true
    },
    /** Nobody looks any more: what was raised ends, for nobody would see its end, and what was begun is forgotten. */
    stop(at: number, reason: Exclude<EndReason, 'seen'>): FaultChange[] {
      const ended = [...since].flatMap(([type, open]) => (open.isRaised ? [resolved(type, open, at, reason)] : []))
      since.clear()
      before = null
      standstill = null
      motions = []
      return ended
    },
  }
}
const resolved = (type: FaultType, open: { at: number; count: number }, at: number, endReason: EndReason): FaultChange => ({
  type,
  state: 'resolved',
  startedAt: open.at,
  endedAt: at,
  endReason,
  count: open.count,
})
export type FaultDetector = ReturnType<typeof createFaultDetector>
