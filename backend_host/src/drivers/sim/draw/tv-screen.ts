import type { BoxState } from '../box-state.ts'
import { channelAt, programAt } from '../channels.ts'
import { subtitleAt } from '../subtitles.ts'
import { box, type Canvas, circle, ink, linear, round, shade } from './canvas.ts'
import { drawPicture } from './pictures.ts'
import { clockText } from './time-text.ts'

/** 25 pictures a second, as a broadcast: two requests within one of them get the same picture. */
export function pictureTime(state: BoxState, now: number): number {
  return Math.floor((state.pausedAt ?? now) / 40) / 25
}

/** Live television: black while the decoder waits, then the picture with the banner. */
export function drawTv(canvas: Canvas, state: BoxState, now: number): void {
  const channel = channelAt(state.channel)
  if (now < state.pictureAt) {
    canvas.text(1228, 72, String(channel.number), { size: 36, weight: 'bold', anchor: 'end', fill: ink.soft })
    return
  }
  drawPicture(canvas, channel, pictureTime(state, now))
  if (state.settings.subtitles === 1 && state.pausedAt === null) drawSubtitle(canvas, state, now)
  if (state.bannerUntil > now) drawBanner(canvas, state, now)
  if (state.pausedAt !== null) drawPaused(canvas)
  if (state.digits !== '') drawPill(canvas, `${state.digits}–`)
  else if (state.notice) drawPill(canvas, state.notice.text)
}

function drawBanner(canvas: Canvas, state: BoxState, now: number): void {
  const channel = channelAt(state.channel)
  const current = programAt(channel, now)
  const next = programAt(channel, current.end)
  canvas.shape(box({ x: 0, y: 440, width: 1280, height: 280 }, canvas.define('fade', shade('fade', '#05070f', 0, 0.9))))
  const panel = { x: 60, y: 520, width: 1160, height: 150 }
  canvas.shape(box(panel, ink.panel, 18, 'opacity="0.94"') + box(panel, 'none', 18, `stroke="${ink.line}" stroke-width="1.5"`))
  const badge = { x: 84, y: 544, width: 132, height: 102 }
  canvas.shape(box(badge, canvas.define('badge', linear('badge', [channel.color, channel.second], 'diagonal')), 14))
  canvas.text(150, 590, String(channel.number), { size: 42, weight: 'bold', anchor: 'middle', id: 'banner_number' })
  canvas.text(150, 624, channel.ident, { size: 19, weight: 'bold', anchor: 'middle', unlisted: true, opacity: 0.85 })
  canvas.text(244, 572, channel.name, { id: 'banner_channel', size: 22, fill: ink.accent, weight: 'bold' })
  canvas.text(244, 610, current.title, { id: 'banner_program', size: 30, weight: 'bold', maxWidth: 560 })
  canvas.text(1196, 572, clockText(now), { size: 22, weight: 'bold', anchor: 'end' })
  canvas.text(1196, 610, `Next: ${next.title}`, { id: 'banner_next', size: 19, anchor: 'end', fill: ink.soft, maxWidth: 340 })
  const share = (now - current.start) / (current.end - current.start)
  const bar = { x: 324, y: 636, width: 780, height: 6 }
  canvas.text(244, 645, clockText(current.start), { size: 18, fill: ink.soft })
  canvas.text(1196, 645, clockText(current.end), { size: 18, fill: ink.soft, anchor: 'end' })
  canvas.shape(box(bar, ink.line, 3) + box({ ...bar, width: round(780 * share) }, ink.accent, 3))
}

/** Above the banner while it is there, as a box does it. They follow from the time alone and leave out every third moment. */
function drawSubtitle(canvas: Canvas, state: BoxState, now: number): void {
  const lines = subtitleAt(state.settings.language ?? 0, now)
  const bottom = state.bannerUntil > now ? 480 : 640
  for (const [index, line] of lines.entries()) {
    const y = bottom - (lines.length - 1 - index) * 46
    const width = Math.round(line.length * 15.5 + 40)
    canvas.shape(box({ x: 640 - width / 2, y: y - 34, width, height: 46 }, '#000', 2))
    canvas.text(640, y, line, { size: 28, anchor: 'middle', id: `subtitle_${index + 1}` })
  }
}

function drawPaused(canvas: Canvas): void {
  canvas.shape(
    circle(640, 320, 62, '#05070f', 'opacity="0.72"') +
      box({ x: 614, y: 290, width: 17, height: 60 }, '#fff', 4) +
      box({ x: 649, y: 290, width: 17, height: 60 }, '#fff', 4),
  )
  canvas.text(640, 420, 'Paused', { size: 24, weight: 'bold', anchor: 'middle' })
}

function drawPill(canvas: Canvas, value: string): void {
  const width = Math.max(120, value.length * 17 + 56)
  canvas.shape(box({ x: 60, y: 40, width, height: 64 }, ink.panel, 16, 'opacity="0.94"'))
  canvas.text(60 + width / 2, 83, value, { size: 30, weight: 'bold', anchor: 'middle', maxWidth: width - 30 })
}
