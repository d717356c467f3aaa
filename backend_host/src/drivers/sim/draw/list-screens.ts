import { type App, apps } from '../apps.ts'
import { type BoxState, settingRows } from '../box-state.ts'
import { channelAt, channels, programAt } from '../channels.ts'
import { box, type Canvas, circle, ink, linear, round, shade } from './canvas.ts'
import { drawFrame, focusRing } from './frame.ts'
import { drawPicture } from './pictures.ts'
import { clockText } from './time-text.ts'
import { pictureTime } from './tv-screen.ts'

const visibleRows = 7

/** The channel list over the live picture, which goes on beside it. */
export function drawChannels(canvas: Canvas, state: BoxState, index: number, now: number): void {
  if (state.pictureAt > 0 && state.pictureAt <= now) drawPicture(canvas, channelAt(state.channel), pictureTime(state, now))
  canvas.shape(box({ x: 0, y: 0, width: 1280, height: 720 }, canvas.define('veil', shade('veil', '#05070f', 0.97, 0.5, 'right'))))
  canvas.shape(box({ x: 0, y: 0, width: 1280, height: 110 }, '#05070f', 0, 'opacity="0.8"'))
  canvas.text(60, 76, 'Channels', { size: 34, weight: 'bold' })
  canvas.text(1220, 72, clockText(now), { size: 26, weight: 'bold', anchor: 'end' })
  const first = Math.min(Math.max(0, index - 3), channels.length - visibleRows)
  for (let i = 0; i < visibleRows; i += 1) drawChannelRow(canvas, first + i, i, index, state.channel, now)
  const share = visibleRows / channels.length
  const track = { x: 822, y: 110, width: 6, height: 560 }
  canvas.shape(
    box(track, ink.line, 3) + box({ ...track, y: 110 + (560 * first) / channels.length, height: 560 * share }, ink.soft, 3),
  )
  drawDetails(canvas, index, now)
}

function drawChannelRow(canvas: Canvas, channelIndex: number, position: number, index: number, tuned: number, now: number): void {
  const channel = channelAt(channelIndex)
  const program = programAt(channel, now)
  const focused = channelIndex === index
  const area = { x: 60, y: 110 + position * 81, width: 744, height: 70 }
  canvas.shape(box(area, focused ? '#f4f7ff' : ink.panel, 14, focused ? '' : 'opacity="0.86"'))
  const name = `row${channel.number}`
  canvas.shape(
    box(
      { x: 72, y: area.y + 10, width: 82, height: 50 },
      canvas.define(name, linear(name, [channel.color, channel.second], 'diagonal')),
      10,
    ),
  )
  canvas.text(113, area.y + 43, channel.ident, { size: 20, weight: 'bold', anchor: 'middle', unlisted: true })
  const fill = focused ? '#0c1226' : ink.text
  canvas.text(206, area.y + 45, String(channel.number), {
    size: 24,
    weight: 'bold',
    anchor: 'end',
    fill: focused ? '#4a5578' : ink.soft,
    unlisted: true,
  })
  canvas.text(228, area.y + 32, channel.name, { size: 21, weight: 'bold', fill, unlisted: true })
  canvas.text(228, area.y + 56, program.title, { size: 17, fill: focused ? '#4a5578' : ink.soft, unlisted: true })
  if (channelIndex === tuned)
    canvas.text(784, area.y + 43, 'Watching', { size: 16, weight: 'bold', anchor: 'end', fill: focused ? '#0b7d71' : ink.accent })
  canvas.list(area, {
    text: channel.name,
    hint: `${channel.number}, ${program.title}`,
    className: 'Button',
    clickable: true,
    focused,
  })
}

function drawDetails(canvas: Canvas, index: number, now: number): void {
  const channel = channelAt(index)
  const panel = { x: 864, y: 110, width: 356, height: 356 }
  canvas.shape(box(panel, ink.panel, 18, 'opacity="0.9"'))
  canvas.shape(
    box({ ...panel, height: 128 }, canvas.define('detail', linear('detail', [channel.color, channel.second], 'diagonal')), 18),
  )
  canvas.text(1042, 192, channel.name, { size: 30, weight: 'bold', anchor: 'middle', maxWidth: 320, unlisted: true })
  let program = programAt(channel, now)
  for (let i = 0; i < 3; i += 1) {
    const y = 286 + i * 62
    canvas.text(888, y, clockText(program.start), { size: 19, weight: 'bold', fill: i === 0 ? ink.accent : ink.soft })
    canvas.text(964, y, program.title, { size: 19, maxWidth: 236, fill: i === 0 ? ink.text : ink.soft })
    program = programAt(channel, program.end)
  }
}

export function drawApps(canvas: Canvas, index: number, now: number): void {
  drawFrame(canvas, 'Apps', now)
  canvas.text(60, 168, 'Your apps', { size: 34, weight: 'bold' })
  canvas.text(60, 204, `${apps.length} installed`, { size: 18, fill: ink.soft })
  for (const [i, app] of apps.entries()) {
    const area = { x: 60 + i * 396, y: 250, width: 368, height: 270 }
    if (i === index) canvas.shape(focusRing(area, 22))
    canvas.shape(box(area, canvas.define(`app${i}`, linear(`app${i}`, [app.color, app.second], 'diagonal')), 22))
    drawAppMark(canvas, app, area.x + 184, area.y + 108, 1)
    canvas.text(area.x + 184, area.y + 212, app.label, { size: 30, weight: 'bold', anchor: 'middle', unlisted: true })
    canvas.text(area.x + 184, area.y + 242, app.hint, { size: 17, anchor: 'middle', unlisted: true, opacity: 0.85 })
    canvas.list(area, { text: app.label, hint: app.hint, className: 'Button', clickable: true, focused: i === index })
  }
  canvas.text(60, 600, 'OK to open, BACK to leave', { size: 17, fill: ink.faint })
}

export function drawAppMark(canvas: Canvas, app: App, x: number, y: number, scale: number): void {
  const marks: Record<App['id'], string> = {
    streamly: '<path d="M-18 -28 L32 0 L-18 28 Z" stroke-linejoin="round" stroke-width="8" stroke="#fff"/>',
    tunewave:
      '<rect x="-40" y="-12" width="12" height="24" rx="6"/><rect x="-18" y="-34" width="12" height="68" rx="6"/><rect x="4" y="-22" width="12" height="44" rx="6"/><rect x="26" y="-40" width="12" height="80" rx="6"/>',
    galleria:
      '<circle cx="-18" cy="-18" r="11"/><path d="M-48 34 L-16 -4 L6 20 L22 2 L48 34 Z" stroke-linejoin="round" stroke-width="5" stroke="#fff"/>',
  }
  canvas.shape(
    `<g transform="translate(${x} ${y}) scale(${scale})">${circle(0, 0, 68, '#ffffff', 'opacity="0.16"')}<g fill="#fff">${marks[app.id]}</g></g>`,
  )
}

export function drawSettings(canvas: Canvas, state: BoxState, index: number, now: number): void {
  drawFrame(canvas, 'Settings', now)
  for (const [i, row] of settingRows.entries()) {
    const focused = i === index
    const area = { x: 60, y: 124 + i * 80, width: 1160, height: 68 }
    canvas.shape(box(area, focused ? '#f4f7ff' : ink.panel, 14, focused ? '' : 'opacity="0.9"'))
    canvas.text(92, area.y + 31, row.label, { size: 22, weight: 'bold', fill: focused ? '#0c1226' : ink.text, unlisted: true })
    canvas.text(92, area.y + 55, row.hint, { size: 16, fill: focused ? '#4a5578' : ink.soft, unlisted: true })
    const value = row.values[state.settings[row.id] ?? 0] ?? row.values[0]
    const drawn = canvas.text(1188, area.y + 42, value, {
      size: 20,
      weight: 'bold',
      anchor: 'end',
      fill: focused ? '#0b7d71' : ink.accent,
    })
    if (focused && row.values.length > 1) {
      const x = round(1188 - drawn - 26)
      canvas.shape(
        `<path d="M${x} ${area.y + 28} l9 7 l-9 7" fill="none" stroke="#4a5578" stroke-width="3" stroke-linecap="round"/>`,
      )
    }
    canvas.list(area, { text: row.label, hint: value, className: 'Button', clickable: true, focused })
  }
}
