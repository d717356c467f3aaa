import { type BoxState, menuItems } from '../box-state.ts'
import { box, type Canvas, ink, linear } from './canvas.ts'
import { drawLogo } from './frame.ts'
import { clockText } from './time-text.ts'

const icons: Record<(typeof menuItems)[number], string> = {
  Home: 'M3 11 L12 3 L21 11 V21 H14 V15 H10 V21 H3 Z',
  'Live TV': 'M2 6 H22 V18 H2 Z M8 21 H16',
  Channels: 'M3 5 H21 M3 12 H21 M3 19 H21',
  Apps: 'M3 3 H10 V10 H3 Z M14 3 H21 V10 H14 Z M3 14 H10 V21 H3 Z M14 14 H21 V21 H14 Z',
  Search: 'M10 3 A7 7 0 1 0 10.1 3 Z M15 15 L21 21',
  Settings: 'M4 7 H20 M4 17 H20 M9 4 V10 M15 14 V20',
  Standby: 'M12 2 V11 M6 6 A8.5 8.5 0 1 0 18 6',
}

/** The menu lies over whatever is shown, which stays visible and darkened. */
export function drawMenu(canvas: Canvas, index: number, now: number): void {
  canvas.cover()
  canvas.shape(box({ x: 0, y: 0, width: 1280, height: 720 }, '#03050b', 0, 'opacity="0.62"'))
  canvas.shape(box({ x: 0, y: 0, width: 400, height: 720 }, canvas.define('drawer', linear('drawer', ['#18224a', '#0c1226']))))
  canvas.shape(box({ x: 399, y: 0, width: 2, height: 720 }, ink.line))
  drawLogo(canvas, 76, 72, 0.8)
  canvas.text(112, 82, 'Menu', { size: 30, weight: 'bold' })
  canvas.text(364, 80, clockText(now), { size: 22, anchor: 'end', fill: ink.soft })
  for (const [i, item] of menuItems.entries()) {
    const area = { x: 36, y: 136 + i * 76, width: 328, height: 62 }
    const focused = i === index
    if (focused) canvas.shape(box(area, canvas.define('chosen', linear('chosen', [ink.violet, ink.accent], 'right')), 14))
    const stroke = focused ? '#ffffff' : ink.soft
    canvas.shape(
      `<path transform="translate(${area.x + 24} ${area.y + 19})" d="${icons[item]}" fill="none" stroke="${stroke}" stroke-width="2.4" stroke-linejoin="round" stroke-linecap="round"/>`,
    )
    const style = {
      size: 24,
      weight: focused ? 'bold' : 'regular',
      fill: focused ? '#ffffff' : ink.text,
      unlisted: true,
    } as const
    canvas.text(area.x + 72, area.y + 40, item, style)
    canvas.list(area, { text: item, className: 'Button', clickable: true, focused })
  }
  canvas.text(48, 694, 'OK to choose, BACK to close', { size: 15, fill: ink.faint })
}

export function drawVolume(canvas: Canvas, state: BoxState): void {
  const isSilent = state.muted || state.volume === 0
  const panel = { x: 1146, y: 130, width: 78, height: 360 }
  canvas.shape(box(panel, ink.panel, 20, 'opacity="0.95"') + box(panel, 'none', 20, `stroke="${ink.line}" stroke-width="1.5"`))
  const track = { x: 1178, y: 196, width: 14, height: 220 }
  const height = (220 * state.volume) / 30
  canvas.shape(box(track, ink.line, 7) + box({ ...track, y: 416 - height, height }, isSilent ? ink.faint : ink.accent, 7))
  canvas.text(1185, 174, state.muted ? 'Mute' : String(state.volume), {
    size: state.muted ? 19 : 26,
    weight: 'bold',
    anchor: 'middle',
  })
  const waves = isSilent ? 'M24 8 L36 20 M36 8 L24 20' : 'M24 8 Q29 14 24 20 M30 3 Q39 14 30 25'
  canvas.shape(
    `<g transform="translate(1165 438)"><path d="M2 9 H9 L18 1 V27 L9 19 H2 Z" fill="#f4f7ff"/><path d="${waves}" fill="none" stroke="#f4f7ff" stroke-width="3" stroke-linecap="round"/></g>`,
  )
}
