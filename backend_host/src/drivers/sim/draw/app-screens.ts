import { type App, apps } from '../apps.ts'
import type { Scene } from '../box-state.ts'
import { box, type Canvas, circle, ink, linear, radial, round } from './canvas.ts'
import { focusRing } from './frame.ts'
import { drawAppMark } from './list-screens.ts'
import { scatter } from './scatter.ts'
import { clockText } from './time-text.ts'

type AppScene = Extract<Scene, { name: 'app' }>

const shelves: Record<App['id'], readonly [string, string, string, string]> = {
  streamly: ['Paper Planets', 'The Quiet Coast', 'Line Nine', 'Ember'],
  tunewave: ['Morning Focus', 'City Lights', 'Deep Bass', 'Acoustic Sunday'],
  galleria: ['Summer trip', 'Family', 'Mountains', 'Favorites'],
}

export function drawApp(canvas: Canvas, scene: AppScene, now: number): void {
  const app = apps.find((one) => one.id === scene.app) ?? apps[0]
  if (now < scene.readyAt) drawSplash(canvas, app, scene, now)
  else if (scene.playing) drawPlayer(canvas, app, scene, now)
  else drawShelf(canvas, app, scene, now)
}

function drawSplash(canvas: Canvas, app: App, scene: AppScene, now: number): void {
  canvas.shape(
    box({ x: 0, y: 0, width: 1280, height: 720 }, canvas.define('splash', linear('splash', [app.color, app.second], 'diagonal'))),
  )
  drawAppMark(canvas, app, 640, 300, 1.5)
  canvas.text(640, 470, app.label, { size: 52, weight: 'bold', anchor: 'middle' })
  for (let i = 0; i < 3; i += 1) {
    const light = 0.35 + Math.abs(Math.sin((now - scene.since) / 260 + i)) * 0.65
    canvas.shape(circle(610 + i * 30, 530, 7, '#fff', `opacity="${round(light)}"`))
  }
}

function drawShelf(canvas: Canvas, app: App, scene: AppScene, now: number): void {
  canvas.shape(box({ x: 0, y: 0, width: 1280, height: 720 }, canvas.define('app', linear('app', [app.second, '#06070d']))))
  canvas.shape(circle(1050, 120, 460, canvas.define('appGlow', radial('appGlow', `${app.color}50`, `${app.color}00`))))
  drawAppMark(canvas, app, 92, 76, 0.42)
  canvas.text(136, 86, app.label, { size: 30, weight: 'bold' })
  canvas.text(1220, 82, clockText(now), { size: 24, weight: 'bold', anchor: 'end' })
  const titles = shelves[app.id]
  const chosen = titles[scene.index] ?? titles[0]
  canvas.text(60, 210, 'Recommended for you', { size: 18, fill: ink.soft })
  canvas.text(60, 262, chosen, { size: 46, weight: 'bold', unlisted: true })
  canvas.text(60, 302, app.hint, { size: 20, fill: ink.soft })
  for (const [i, title] of titles.entries()) {
    const area = { x: 60 + i * 294, y: 372, width: 278, height: 240 }
    drawArtwork(canvas, app, area, i)
    if (scene.index === i) canvas.shape(focusRing(area, 16))
    canvas.text(area.x + 18, area.y + 218, title, { size: 20, weight: 'bold', unlisted: true, maxWidth: 242 })
    canvas.list(area, { text: title, className: 'Button', clickable: true, focused: scene.index === i })
  }
}

function drawArtwork(
  canvas: Canvas,
  app: App,
  area: { x: number; y: number; width: number; height: number },
  position: number,
): void {
  const hue = Math.round(scatter(position + app.label.length) * 360)
  const name = `art${position}`
  canvas.define(`${name}clip`, `<clipPath id="${name}clip">${box(area, '#fff', 16)}</clipPath>`)
  canvas.shape(
    box(area, canvas.define(name, linear(name, [`hsl(${hue}, 62%, 48%)`, `hsl(${(hue + 60) % 360}, 60%, 20%)`], 'diagonal')), 16),
  )
  const shapes: string[] = []
  for (let i = 0; i < 5; i += 1) {
    const x = area.x + scatter(i + position * 7) * area.width
    const y = area.y + scatter(i + position * 11 + 3) * area.height * 0.7
    shapes.push(circle(x, y, 26 + scatter(i + position) * 66, '#ffffff', `opacity="${round(0.06 + scatter(i) * 0.12)}"`))
  }
  canvas.shape(
    `<g clip-path="url(#${name}clip)">${shapes.join('')}${box({ ...area, y: area.y + 182, height: 58 }, '#000', 0, 'opacity="0.45"')}</g>`,
  )
}

function drawPlayer(canvas: Canvas, app: App, scene: AppScene, now: number): void {
  const time = Math.floor(now / 40) / 25
  canvas.shape(
    box({ x: 0, y: 0, width: 1280, height: 720 }, canvas.define('player', linear('player', [app.second, '#04050a'], 'diagonal'))),
  )
  for (let i = 0; i < 16; i += 1) {
    const x = 640 + Math.cos(time * (0.2 + scatter(i) * 0.4) + i) * (180 + scatter(i + 4) * 420)
    const y = 320 + Math.sin(time * (0.25 + scatter(i + 8) * 0.4) + i * 2) * (80 + scatter(i + 2) * 200)
    canvas.shape(
      circle(
        x,
        y,
        24 + scatter(i + 30) * 70,
        i % 2 === 0 ? app.color : '#ffffff',
        `opacity="${round(0.08 + scatter(i + 12) * 0.2)}"`,
      ),
    )
  }
  const titles = shelves[app.id]
  canvas.text(60, 610, titles[scene.index] ?? titles[0], { size: 34, weight: 'bold' })
  canvas.text(1220, 608, 'Playing', { size: 20, weight: 'bold', anchor: 'end', fill: ink.accent })
  const share = (((time / 120) % 1) + 1) % 1
  const bar = { x: 60, y: 644, width: 1160, height: 7 }
  canvas.shape(
    box(bar, '#ffffff', 4, 'opacity="0.25"') +
      box({ ...bar, width: round(1160 * share) }, app.color, 4) +
      circle(60 + 1160 * share, 647, 10, '#fff'),
  )
}
