import { apps } from '../apps.ts'
import { type BoxState, heroButtons, homeChannelCount, homeTiles, type Scene } from '../box-state.ts'
import { channelAt, programAt } from '../channels.ts'
import { box, type Canvas, circle, ink, linear, radial, round } from './canvas.ts'
import { drawFrame, focusRing } from './frame.ts'

type Home = Extract<Scene, { name: 'home' }>

export function drawHome(canvas: Canvas, state: BoxState, scene: Home, now: number): void {
  drawFrame(canvas, null, now)
  drawHero(canvas, state, scene, now)
  canvas.text(60, 412, 'On now', { size: 20, weight: 'bold', fill: ink.soft })
  for (let i = 0; i < homeChannelCount; i += 1)
    drawChannelCard(canvas, state.channel + i, i, scene.row === 1 && scene.column === i, now)
  canvas.text(60, 588, 'Apps and more', { size: 20, weight: 'bold', fill: ink.soft })
  for (const [i, label] of homeTiles.entries()) drawTile(canvas, label, i, scene.row === 2 && scene.column === i)
}

function drawHero(canvas: Canvas, state: BoxState, scene: Home, now: number): void {
  const channel = channelAt(state.channel)
  const program = programAt(channel, now)
  const area = { x: 60, y: 116, width: 1160, height: 258 }
  canvas.shape(box(area, canvas.define('hero', linear('hero', [channel.second, channel.color], 'right')), 22))
  canvas.define('heroClip', `<clipPath id="heroClip"><rect x="60" y="116" width="1160" height="258" rx="22"/></clipPath>`)
  const rings = [330, 250, 172, 96].map((radius, i) =>
    circle(1010, 245, radius, '#ffffff', `opacity="${round(0.05 + i * 0.025)}"`),
  )
  canvas.shape(
    `<g clip-path="url(#heroClip)">${circle(1010, 245, 420, canvas.define('heroGlow', radial('heroGlow', '#ffffff30', '#ffffff00')))}${rings.join('')}</g>`,
  )
  canvas.text(1010, 262, channel.ident, { size: 54, weight: 'bold', anchor: 'middle', unlisted: true })
  canvas.text(100, 172, `${channel.number} ${channel.name}`, { size: 20, weight: 'bold', opacity: 0.9 })
  canvas.text(100, 224, program.title, { size: 44, weight: 'bold', maxWidth: 680 })
  const minutes = Math.max(1, Math.ceil((program.end - now) / 60_000))
  canvas.text(100, 262, `Live · ${minutes} min left`, { size: 19, opacity: 0.85 })
  for (const [i, label] of heroButtons.entries()) {
    const focused = scene.row === 0 && scene.column === i
    const button = { x: 100 + i * 206, y: 292, width: 186, height: 54 }
    canvas.shape(box(button, focused ? '#f4f7ff' : '#05070f', 27, focused ? '' : 'opacity="0.5"'))
    if (focused)
      canvas.shape(
        box(
          { x: button.x - 6, y: button.y - 6, width: 198, height: 66 },
          'none',
          33,
          'stroke="#f4f7ff" stroke-width="3" opacity="0.75"',
        ),
      )
    canvas.text(button.x + 93, button.y + 35, label, {
      size: 20,
      weight: 'bold',
      anchor: 'middle',
      fill: focused ? '#0c1226' : ink.text,
      unlisted: true,
    })
    canvas.list(button, { text: label, className: 'Button', clickable: true, focused })
  }
}

function drawChannelCard(canvas: Canvas, index: number, position: number, focused: boolean, now: number): void {
  const channel = channelAt(index)
  const area = { x: 60 + position * 196, y: 428, width: 180, height: 118 }
  const name = `card${channel.number}`
  canvas.shape(box(area, canvas.define(name, linear(name, [channel.color, channel.second], 'diagonal')), 14))
  const { x, y } = area
  canvas.shape(
    `<path d="M${x} ${y + 66} h180 v38 a14 14 0 0 1 -14 14 h-152 a14 14 0 0 1 -14 -14 Z" fill="#05070f" opacity="0.42"/>`,
  )
  if (focused) canvas.shape(focusRing(area, 14))
  canvas.text(area.x + 14, area.y + 46, channel.ident, { size: 30, weight: 'bold', unlisted: true })
  canvas.text(area.x + 166, area.y + 30, String(channel.number), {
    size: 16,
    weight: 'bold',
    anchor: 'end',
    unlisted: true,
    opacity: 0.85,
  })
  canvas.text(area.x + 14, area.y + 88, channel.name, { size: 16, weight: 'bold', maxWidth: 152, unlisted: true })
  const title = programAt(channel, now).title
  canvas.text(area.x + 14, area.y + 108, title, { size: 13, maxWidth: 152, unlisted: true, opacity: 0.85 })
  canvas.list(area, { text: channel.name, hint: title, className: 'Button', clickable: true, focused })
}

function drawTile(canvas: Canvas, label: string, position: number, focused: boolean): void {
  const area = { x: 60 + position * 236, y: 604, width: 216, height: 76 }
  const app = apps[position]
  const name = `tile${position}`
  canvas.shape(box(area, app ? canvas.define(name, linear(name, [app.color, app.second], 'diagonal')) : ink.raised, 14))
  if (focused) canvas.shape(focusRing(area, 14))
  canvas.text(area.x + 108, area.y + 46, label, { size: 22, weight: 'bold', anchor: 'middle', unlisted: true })
  canvas.list(area, { text: label, hint: app?.hint ?? '', className: 'Button', clickable: true, focused })
}
