import { apps } from './apps.ts'
import { toggleStandby } from './box-power.ts'
import {
  type BoxState,
  homeRowLengths,
  homeTiles,
  launchApp,
  maxVolume,
  menuItems,
  openSearch,
  type Scene,
  searchKeyRows,
  searchResults,
  searchTextLimit,
  searchWideKeys,
  settingRows,
  showHome,
  showScene,
  showTv,
  tune,
  tuneNumber,
} from './box-state.ts'
import { channels } from './channels.ts'
import type { Key } from './keys.ts'

type SceneOf<N extends Scene['name']> = Extract<Scene, { name: N }>

const digitWaitMs = 1500
const overlayMs = 2500

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value))
}

function move(key: Key, index: number, length: number): number {
  const change = key === 'DOWN' || key === 'RIGHT' ? 1 : key === 'UP' || key === 'LEFT' ? -1 : 0
  return clamp(index + change, 0, length - 1)
}

/** One key of the remote. A box that is off or starting hears nothing: the remote cannot know, so it is no error. */
export function pressKey(state: BoxState, key: Key, now: number): BoxState {
  if (state.power.mode === 'off' || state.power.mode === 'booting') return state
  if (key === 'POWER') return toggleStandby(state, now)
  if (state.power.mode === 'standby') return key === 'HOME' || key === 'OK' ? toggleStandby(state, now) : state
  if (key === 'VOLUME_UP' || key === 'VOLUME_DOWN' || key === 'VOLUME_MUTE') return pressVolume(state, key, now)
  if (key === 'HOME') return showHome(state)
  if (key === 'MENU') return { ...state, menu: state.menu ? null : { index: 0 } }
  if (state.menu) return pressInMenu(state, state.menu.index, key, now)
  if (key === 'GUIDE') return showScene(state, { name: 'channels', index: state.channel })
  const isWatching = state.scene.name === 'tv' || state.scene.name === 'channels'
  if (key === 'CHANNEL_UP') return isWatching || state.pictureAt > 0 ? tune(state, state.channel + 1, now) : showTv(state, now)
  if (key === 'CHANNEL_DOWN') return isWatching || state.pictureAt > 0 ? tune(state, state.channel - 1, now) : showTv(state, now)
  return pressInScene(state, key, now)
}

function pressInScene(state: BoxState, key: Key, now: number): BoxState {
  const { scene } = state
  if (scene.name === 'home') return pressInHome(state, scene, key, now)
  if (scene.name === 'tv') return pressInTv(state, key, now)
  if (scene.name === 'app') return pressInApp(state, scene, key, now)
  if (scene.name === 'search') return pressInSearch(state, scene, key, now)
  if (key === 'BACK') return leaveList(state, now)
  if (scene.name === 'channels') {
    if (key === 'OK') return scene.index === state.channel ? showTv(state, now) : tune(state, scene.index, now)
    return { ...state, scene: { ...scene, index: move(key, scene.index, channels.length) } }
  }
  if (scene.name === 'apps') {
    const app = apps[scene.index]
    if (key === 'OK' && app) return launchApp(state, app.id, now)
    return { ...state, scene: { ...scene, index: move(key, scene.index, apps.length) } }
  }
  const row = settingRows[scene.index]
  if (key === 'OK' && row) {
    const chosen = ((state.settings[row.id] ?? 0) + 1) % row.values.length
    return { ...state, settings: { ...state.settings, [row.id]: chosen } }
  }
  return { ...state, scene: { ...scene, index: move(key, scene.index, settingRows.length) } }
}

function leaveList(state: BoxState, now: number): BoxState {
  return state.backTo === 'tv' ? showTv(state, now) : showHome(state)
}

function pressVolume(state: BoxState, key: Key, now: number): BoxState {
  const volumeUntil = now + overlayMs
  if (key === 'VOLUME_MUTE') return { ...state, muted: !state.muted, volumeUntil }
  return { ...state, muted: false, volume: clamp(state.volume + (key === 'VOLUME_UP' ? 1 : -1), 0, maxVolume), volumeUntil }
}

function pressInMenu(state: BoxState, index: number, key: Key, now: number): BoxState {
  if (key === 'BACK' || key === 'RIGHT') return { ...state, menu: null }
  if (key !== 'OK') return { ...state, menu: { index: key === 'LEFT' ? index : move(key, index, menuItems.length) } }
  const item = menuItems[index]
  if (item === 'Live TV') return showTv(state, now)
  if (item === 'Channels') return showScene(state, { name: 'channels', index: state.channel })
  if (item === 'Apps') return showScene(state, { name: 'apps', index: 0 })
  if (item === 'Search') return showScene(state, openSearch)
  if (item === 'Settings') return showScene(state, { name: 'settings', index: 0 })
  if (item === 'Standby') return toggleStandby(state, now)
  return showHome(state)
}

function pressInHome(state: BoxState, scene: SceneOf<'home'>, key: Key, now: number): BoxState {
  const { row, column } = scene
  if (key === 'OK') {
    if (row === 0) return column === 0 ? showTv(state, now) : showScene(state, { name: 'channels', index: state.channel })
    if (row === 1) return tune(state, state.channel + column, now)
    const app = apps[column]
    if (app) return launchApp(state, app.id, now)
    return showScene(state, homeTiles[column] === 'Search' ? openSearch : { name: 'settings', index: 0 })
  }
  if (key === 'UP' || key === 'DOWN') {
    const next = move(key, row, homeRowLengths.length)
    return { ...state, scene: { ...scene, row: next, column: clamp(column, 0, (homeRowLengths[next] ?? 1) - 1) } }
  }
  if (key === 'LEFT' || key === 'RIGHT')
    return { ...state, scene: { ...scene, column: move(key, column, homeRowLengths[row] ?? 1) } }
  return state
}

function pressInTv(state: BoxState, key: Key, now: number): BoxState {
  if (/^\d$/.test(key)) {
    const digits = state.digits + key
    // Three digits are the longest channel number: nothing more can follow, so the box does not wait.
    if (digits.length === 3) return tuneNumber(state, digits, now)
    return { ...state, digits, digitsUntil: now + digitWaitMs, notice: null }
  }
  if (key === 'OK' && state.digits !== '') return tuneNumber(state, state.digits, now)
  if (key === 'OK') return showScene(state, { name: 'channels', index: state.channel })
  if (key === 'BACK') return state.bannerUntil > now && state.pictureAt <= now ? { ...state, bannerUntil: now } : showHome(state)
  if (key === 'INFO') return showTv(state, now)
  if (key === 'UP') return tune(state, state.channel + 1, now)
  if (key === 'DOWN') return tune(state, state.channel - 1, now)
  if (key === 'MEDIA_PLAY_PAUSE' && state.pictureAt <= now) return { ...state, pausedAt: state.pausedAt === null ? now : null }
  if (key === 'MEDIA_STOP') return { ...state, pausedAt: null }
  return state
}

function pressInApp(state: BoxState, scene: SceneOf<'app'>, key: Key, now: number): BoxState {
  if (key === 'BACK') {
    if (scene.playing) return { ...state, scene: { ...scene, playing: false } }
    return showScene(state, {
      name: 'apps',
      index: Math.max(
        0,
        apps.findIndex((app) => app.id === scene.app),
      ),
    })
  }
  if (scene.readyAt > now) return state
  if (key === 'OK' || key === 'MEDIA_PLAY_PAUSE') return { ...state, scene: { ...scene, playing: !scene.playing } }
  if (key === 'MEDIA_STOP') return { ...state, scene: { ...scene, playing: false } }
  return { ...state, scene: { ...scene, index: move(key, scene.index, 4) } }
}

function pressInSearch(state: BoxState, scene: SceneOf<'search'>, key: Key, now: number): BoxState {
  const results = searchResults(scene.text, now)
  if (key === 'BACK') return leaveList(state, now)
  if (/^\d$/.test(key)) return typeText(state, key)
  if (scene.focus === 'results') {
    const result = results[scene.index]
    if (key === 'LEFT') return { ...state, scene: { ...scene, focus: 'keys', index: 0 } }
    if (key === 'OK' && result?.app) return launchApp(state, result.app, now)
    if (key === 'OK' && result?.channel != null) return tune(state, result.channel, now)
    if (key === 'RIGHT') return state
    return { ...state, scene: { ...scene, index: move(key, scene.index, Math.max(1, results.length)) } }
  }
  const lastRow = searchKeyRows.length
  if (key === 'UP' || key === 'DOWN') return { ...state, scene: { ...scene, row: move(key, scene.row, lastRow + 1) } }
  if (key === 'RIGHT' && scene.column >= (scene.row === lastRow ? 4 : 5)) {
    return results.length > 0 ? { ...state, scene: { ...scene, focus: 'results', index: 0 } } : state
  }
  if (key === 'LEFT' || key === 'RIGHT') {
    // The keys of the last row are two columns wide.
    const width = scene.row === lastRow ? 2 : 1
    return { ...state, scene: { ...scene, column: clamp(scene.column + (key === 'RIGHT' ? width : -width), 0, 5) } }
  }
  if (key !== 'OK') return state
  if (scene.row < lastRow) return typeText(state, searchKeyRows[scene.row]?.[scene.column] ?? '')
  const wide = searchWideKeys[Math.floor(scene.column / 2)]
  if (wide === 'Space') return typeText(state, ' ')
  return { ...state, scene: { ...scene, text: wide === 'Delete' ? scene.text.slice(0, -1) : '' } }
}

/** Text goes where the box asks for text: the search. Elsewhere nothing can take it. */
export function typeText(state: BoxState, text: string): BoxState {
  if (state.power.mode !== 'on' || state.menu || state.scene.name !== 'search') return state
  const typed = `${state.scene.text}${text}`.slice(0, searchTextLimit)
  return { ...state, scene: { ...state.scene, text: typed, focus: 'keys', index: 0 } }
}
