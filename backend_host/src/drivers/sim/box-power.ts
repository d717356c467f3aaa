import { type BoxState, type FaultKind, initialBox, maxVolume, showHome, tuneNumber } from './box-state.ts'
import { randomBetween } from './random.ts'

/** The start logo comes this long after power: before it the television has no signal. */
export const noSignalMs = 1200

/** A start takes 5.5 to 8 s. What a box keeps over a restart: channel, volume, settings. */
export function startBox(state: BoxState, now: number): BoxState {
  const drawn = randomBetween(state.seed, 5500, 8000)
  const { channel, volume, muted, settings, fault } = state
  const power = { mode: 'booting' as const, since: now, until: now + drawn.value }
  return { ...initialBox(drawn.seed), channel, volume, muted, settings, fault, power }
}

export function powerOn(state: BoxState, now: number): BoxState {
  if (state.power.mode === 'off') return startBox(state, now)
  if (state.power.mode === 'standby') return showHome({ ...state, power: { mode: 'on' } })
  return state
}

export function powerOff(state: BoxState): BoxState {
  return { ...state, power: { mode: 'off' }, menu: null, digits: '', notice: null }
}

export function toggleStandby(state: BoxState, now: number): BoxState {
  if (state.power.mode !== 'on') return powerOn(state, now)
  return { ...state, power: { mode: 'standby' }, menu: null, digits: '', notice: null }
}

export function showFault(state: BoxState, kind: FaultKind, seconds: number | null, now: number): BoxState {
  if (kind === 'none') return { ...state, fault: null }
  const frozen = kind === 'freeze' ? { ...state, fault: null } : null
  return { ...state, fault: { kind, since: now, until: seconds === null ? null : now + seconds * 1000, frozen } }
}

/** Everything that happens by itself up to `now`: the start ends, typed digits become a channel, a fault passes. */
export function settle(state: BoxState, now: number): BoxState {
  let settled = state
  if (settled.power.mode === 'booting' && settled.power.until <= now) settled = showHome({ ...settled, power: { mode: 'on' } })
  if (settled.digits !== '' && settled.digitsUntil <= now) settled = tuneNumber(settled, settled.digits, settled.digitsUntil)
  if (settled.notice && settled.notice.until <= now) settled = { ...settled, notice: null }
  if (settled.fault?.until != null && settled.fault.until <= now) settled = { ...settled, fault: null }
  return settled
}

/** Loudness of what leaves the box, 0 to 100. Lists and home are silent; only what plays is heard. */
export function audioLevel(state: BoxState, now: number): number {
  if (state.power.mode !== 'on' || state.fault?.kind === 'silence' || state.muted) return 0
  const { scene } = state
  const playsTv =
    (scene.name === 'tv' || scene.name === 'channels') && state.pausedAt === null && state.pictureAt > 0 && state.pictureAt <= now
  const playsApp = scene.name === 'app' && scene.playing && scene.readyAt <= now
  return playsTv || playsApp ? Math.round((state.volume / maxVolume) * 100) : 0
}
