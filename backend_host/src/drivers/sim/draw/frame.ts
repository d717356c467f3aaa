import { box, type Canvas, circle, ink, linear, radial } from './canvas.ts'
import { clockText, dateText } from './time-text.ts'

/** The background and top line that home, lists, search and settings share. */
export function drawFrame(canvas: Canvas, title: string | null, now: number): void {
  const full = { x: 0, y: 0, width: 1280, height: 720 }
  canvas.shape(box(full, canvas.define('back', linear('back', ['#111a38', ink.night], 'diagonal'))))
  canvas.shape(circle(1180, 40, 520, canvas.define('light', radial('light', '#7b61ff2e', '#7b61ff00'))))
  canvas.shape(circle(60, 700, 420, canvas.define('glow', radial('glow', '#35d6c41f', '#35d6c400'))))
  drawLogo(canvas, 88, 62, 0.72)
  canvas.text(120, 71, title ?? 'VPT Box', { size: 26, weight: 'bold' })
  canvas.text(1220, 66, clockText(now), { size: 28, weight: 'bold', anchor: 'end' })
  canvas.text(1220, 92, dateText(now), { size: 15, anchor: 'end', fill: ink.soft })
}

/** The light edge around what the next OK acts on. */
export function focusRing(area: { x: number; y: number; width: number; height: number }, corner: number): string {
  const { x, y, width, height } = area
  const outer = box(
    { x: x - 9, y: y - 9, width: width + 18, height: height + 18 },
    'none',
    corner + 9,
    'stroke="#35d6c4" stroke-width="5" opacity="0.28"',
  )
  return (
    outer +
    box({ x: x - 5, y: y - 5, width: width + 10, height: height + 10 }, 'none', corner + 5, 'stroke="#f4f7ff" stroke-width="3.5"')
  )
}

export function drawLogo(canvas: Canvas, x: number, y: number, scale: number): void {
  const fill = canvas.define('logo', linear('logo', [ink.violet, ink.accent], 'diagonal'))
  canvas.shape(
    `<g transform="translate(${x} ${y}) scale(${scale})"><rect x="-26" y="-26" width="52" height="52" rx="15" fill="${fill}"/>` +
      '<path d="M-8 -13 L13 0 L-8 13 Z" fill="#fff" stroke="#fff" stroke-width="4" stroke-linejoin="round"/></g>',
  )
}
