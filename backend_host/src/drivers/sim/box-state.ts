/**
 * The simulated set-top box as a value. Nothing here draws, waits or reads a clock: a key press is
 * (state, now) -> state, and what is on the screen follows from (state, now).
 *
 * Power: off -(power)-> booting -(seconds)-> on <-(POWER key)-> standby; any -(power_off)-> off; any powered -(reboot)-> booting.
 * Scenes while on: home, tv, channels (over the live picture), apps, app, search, settings; the menu lies over any of them.
 * A fault concerns what leaves the box: black, freeze (the whole output stands still, the box goes on inside) or silence.
 */
import { type App, apps } from './apps.ts'
import { channels, programAt } from './channels.ts'
import { randomBetween } from './random.ts'

export type Scene =
  | { name: 'home'; row: number; column: number }
  | { name: 'tv' }
  | { name: 'channels'; index: number }
  | { name: 'apps'; index: number }
  | { name: 'app'; app: App['id']; since: number; readyAt: number; index: number; playing: boolean }
  | { name: 'search'; text: string; focus: 'keys' | 'results'; row: number; column: number; index: number }
  | { name: 'settings'; index: number }

export type Power = { mode: 'on' } | { mode: 'standby' } | { mode: 'off' } | { mode: 'booting'; since: number; until: number }

export const faultKinds = ['none', 'black', 'freeze', 'silence'] as const
export type FaultKind = (typeof faultKinds)[number]

export type Fault = { kind: Exclude<FaultKind, 'none'>; since: number; until: number | null; frozen: BoxState | null }

export type BoxState = {
  power: Power
  scene: Scene
  menu: { index: number } | null
  /** Where BACK leads from a list: the last of home and tv. */
  backTo: 'home' | 'tv'
  /** Index in the channel list. */
  channel: number
  pictureAt: number
  bannerUntil: number
  pausedAt: number | null
  volume: number
  muted: boolean
  volumeUntil: number
  digits: string
  digitsUntil: number
  notice: { text: string; until: number } | null
  /** Index of the chosen value per setting. */
  settings: Record<string, number>
  fault: Fault | null
  seed: number
}

export const menuItems = ['Home', 'Live TV', 'Channels', 'Apps', 'Search', 'Settings', 'Standby'] as const

export const settingRows = [
  { id: 'network', label: 'Network', hint: 'Cable, 192.0.2.17', values: ['Connected'] },
  { id: 'picture', label: 'Picture format', hint: 'How the picture fills the screen', values: ['16:9', 'Automatic', 'Zoom'] },
  { id: 'banner', label: 'Channel banner', hint: 'How long it stays', values: ['3 seconds', '5 seconds', '10 seconds'] },
  { id: 'language', label: 'Audio language', hint: 'When the program has several', values: ['English', 'Deutsch', 'Français'] },
  { id: 'subtitles', label: 'Subtitles', hint: 'When the program has them', values: ['Off', 'On'] },
  { id: 'light', label: 'Standby light', hint: 'The lamp at the front', values: ['On', 'Off'] },
  { id: 'about', label: 'About this box', hint: 'Serial VPT-0001-SIM', values: ['Software 4.2.1'] },
] as const

export const maxVolume = 30

const bannerMs = [3000, 5000, 10_000]

export const heroButtons = ['Watch now', 'All channels'] as const
export const homeTiles = [...apps.map((app) => app.label), 'Search', 'Settings']
export const homeChannelCount = 6
export const homeRowLengths = [heroButtons.length, homeChannelCount, homeTiles.length]

export const searchKeyRows = ['abcdef', 'ghijkl', 'mnopqr', 'stuvwx', 'yz0123', '456789'] as const
export const searchWideKeys = ['Space', 'Delete', 'Clear'] as const
export const searchTextLimit = 24

export function initialBox(seed: number): BoxState {
  return {
    power: { mode: 'on' },
    scene: { name: 'home', row: 0, column: 0 },
    menu: null,
    backTo: 'home',
    channel: 0,
    pictureAt: 0,
    bannerUntil: 0,
    pausedAt: null,
    volume: 12,
    muted: false,
    volumeUntil: 0,
    digits: '',
    digitsUntil: 0,
    notice: null,
    settings: {},
    fault: null,
    seed,
  }
}

export const openSearch: Scene = { name: 'search', text: '', focus: 'keys', row: 0, column: 0, index: 0 }

/** Black for 300 to 900 ms, then the picture together with the banner: a decoder waits for the next full picture. */
export function tune(state: BoxState, channel: number, now: number): BoxState {
  const wrapped = (channel + channels.length) % channels.length
  const drawn = randomBetween(state.seed, 300, 900)
  const pictureAt = now + drawn.value
  const bannerUntil = pictureAt + (bannerMs[state.settings.banner ?? 0] ?? 3000)
  const fresh = { pausedAt: null, digits: '', notice: null, menu: null, backTo: 'tv' as const }
  return { ...state, ...fresh, scene: { name: 'tv' }, channel: wrapped, pictureAt, bannerUntil, seed: drawn.seed }
}

/** Back to the channel that is tuned: the decoder was not stopped, so there is no black. */
export function showTv(state: BoxState, now: number): BoxState {
  if (state.pictureAt === 0) return tune(state, state.channel, now)
  const bannerUntil = Math.max(now, state.pictureAt) + (bannerMs[state.settings.banner ?? 0] ?? 3000)
  return { ...state, scene: { name: 'tv' }, menu: null, backTo: 'tv', bannerUntil }
}

export function showHome(state: BoxState): BoxState {
  return { ...state, scene: { name: 'home', row: 0, column: 0 }, menu: null, backTo: 'home', pausedAt: null }
}

export function showScene(state: BoxState, scene: Scene): BoxState {
  return { ...state, scene, menu: null, pausedAt: null }
}

export function launchApp(state: BoxState, app: App['id'], now: number): BoxState {
  const drawn = randomBetween(state.seed, 800, 1500)
  const scene: Scene = { name: 'app', app, since: now, readyAt: now + drawn.value, index: 0, playing: false }
  return { ...showScene(state, scene), seed: drawn.seed }
}

/** A number that no channel has is said on the screen, as a box does it. */
export function tuneNumber(state: BoxState, digits: string, now: number): BoxState {
  const index = channels.findIndex((channel) => channel.number === Number(digits))
  if (index >= 0) return tune(state, index, now)
  return { ...state, digits: '', notice: { text: `Channel ${Number(digits)} is not available`, until: now + 2000 } }
}

export type SearchResult = { label: string; hint: string; channel: number | null; app: App['id'] | null }

export function searchResults(text: string, now: number): SearchResult[] {
  const wanted = text.trim().toLowerCase()
  if (wanted === '') return []
  const results: SearchResult[] = []
  for (const app of apps) {
    if (app.label.toLowerCase().includes(wanted)) results.push({ label: app.label, hint: 'App', channel: null, app: app.id })
  }
  for (const [index, channel] of channels.entries()) {
    const title = programAt(channel, now).title
    const hit = channel.name.toLowerCase().includes(wanted) || title.toLowerCase().includes(wanted)
    if (hit) results.push({ label: channel.name, hint: `Now: ${title}`, channel: index, app: null })
  }
  return results.slice(0, 6)
}
