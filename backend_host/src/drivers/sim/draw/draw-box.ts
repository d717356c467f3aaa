import { apps } from '../apps.ts'
import { noSignalMs } from '../box-power.ts'
import type { BoxState } from '../box-state.ts'
import { drawApp } from './app-screens.ts'
import { box, type Canvas, circle, createCanvas, type Drawing, ink, linear, radial } from './canvas.ts'
import { drawLogo } from './frame.ts'
import { drawHome } from './home-screen.ts'
import { drawApps, drawChannels, drawSettings } from './list-screens.ts'
import { drawMenu, drawVolume } from './overlays.ts'
import { drawSearch } from './search-screen.ts'
import { clockText } from './time-text.ts'
import { drawTv } from './tv-screen.ts'

/** What is on the television at `now`. A pure function: the same state and time give the same picture and texts. */
export function drawBox(state: BoxState, now: number): Drawing {
  if (state.fault?.kind === 'freeze' && state.fault.frozen) return drawBox(state.fault.frozen, state.fault.since)
  const canvas = createCanvas(packageOf(state))
  if (state.fault?.kind === 'black' || state.power.mode === 'off') return canvas.finish()
  if (state.power.mode === 'standby') drawStandby(canvas, now)
  else if (state.power.mode === 'booting') drawStart(canvas, state.power, now)
  else drawScene(canvas, state, now)
  return canvas.finish()
}

function packageOf(state: BoxState): string {
  const { scene } = state
  if (scene.name !== 'app') return 'vpt.box'
  return apps.find((app) => app.id === scene.app)?.package ?? 'vpt.box'
}

function drawScene(canvas: Canvas, state: BoxState, now: number): void {
  const { scene } = state
  if (scene.name === 'home') drawHome(canvas, state, scene, now)
  if (scene.name === 'tv') drawTv(canvas, state, now)
  if (scene.name === 'channels') drawChannels(canvas, state, scene.index, now)
  if (scene.name === 'apps') drawApps(canvas, scene.index, now)
  if (scene.name === 'app') drawApp(canvas, scene, now)
  if (scene.name === 'search') drawSearch(canvas, scene, now)
  if (scene.name === 'settings') drawSettings(canvas, state, scene.index, now)
  if (state.menu) drawMenu(canvas, state.menu.index, now)
  if (state.volumeUntil > now) drawVolume(canvas, state)
}

function drawStandby(canvas: Canvas, now: number): void {
  canvas.shape(box({ x: 0, y: 0, width: 1280, height: 720 }, '#030407'))
  canvas.text(640, 380, clockText(now), { size: 96, anchor: 'middle', fill: '#39435c' })
  canvas.text(640, 440, 'Standby', { size: 22, anchor: 'middle', fill: '#39435c' })
  canvas.shape(
    circle(640, 640, 16, canvas.define('lamp', radial('lamp', '#ff2d3f99', '#ff2d3f00'))) + circle(640, 640, 4, '#ff2d3f'),
  )
}

/** A television shows nothing until the box sends a picture: the logo comes a moment after power. */
function drawStart(canvas: Canvas, power: { since: number; until: number }, now: number): void {
  const shownAt = power.since + noSignalMs
  if (now < shownAt) return
  const share = Math.min(1, (now - shownAt) / (power.until - shownAt))
  canvas.shape(
    box({ x: 0, y: 0, width: 1280, height: 720 }, canvas.define('start', linear('start', ['#0c1430', '#05070f'], 'diagonal'))),
  )
  canvas.shape(circle(640, 290, 260, canvas.define('halo', radial('halo', '#35d6c438', '#35d6c400'))))
  drawLogo(canvas, 640, 262, 1.9)
  canvas.text(640, 420, 'VPT Box', { size: 54, weight: 'bold', anchor: 'middle' })
  const phase = share < 0.35 ? 'Starting up' : share < 0.75 ? 'Loading channels' : 'Almost there'
  canvas.text(640, 468, phase, { size: 22, anchor: 'middle', fill: ink.soft })
  const bar = { x: 440, y: 520, width: 400, height: 8 }
  canvas.shape(
    box(bar, ink.line, 4) +
      box({ ...bar, width: Math.max(8, 400 * share) }, canvas.define('bar', linear('bar', [ink.violet, ink.accent], 'right')), 4),
  )
}
