import { type Scene, searchKeyRows, searchResults, searchTextLimit, searchWideKeys } from '../box-state.ts'
import { channelAt } from '../channels.ts'
import { box, type Canvas, ink, linear } from './canvas.ts'
import { drawFrame } from './frame.ts'

type Search = Extract<Scene, { name: 'search' }>

export function drawSearch(canvas: Canvas, scene: Search, now: number): void {
  drawFrame(canvas, 'Search', now)
  drawField(canvas, scene.text)
  const onKeys = scene.focus === 'keys'
  for (const [row, keys] of searchKeyRows.entries()) {
    for (const [column, key] of keys.split('').entries()) {
      drawKey(
        canvas,
        { x: 60 + column * 76, y: 222 + row * 66, width: 66, height: 56 },
        key,
        onKeys && scene.row === row && scene.column === column,
      )
    }
  }
  for (const [i, key] of searchWideKeys.entries()) {
    const focused = onKeys && scene.row === searchKeyRows.length && Math.floor(scene.column / 2) === i
    drawKey(canvas, { x: 60 + i * 152, y: 222 + 6 * 66, width: 142, height: 56 }, key, focused)
  }
  drawResults(canvas, scene, now)
}

function drawField(canvas: Canvas, text: string): void {
  const area = { x: 60, y: 128, width: 1160, height: 66 }
  canvas.shape(box(area, ink.panel, 16) + box(area, 'none', 16, `stroke="${ink.accent}" stroke-width="2"`))
  canvas.shape(
    `<path transform="translate(86 148)" d="M10 3 A7 7 0 1 0 10.1 3 Z M15 15 L21 21" fill="none" stroke="${ink.soft}" stroke-width="2.6" stroke-linecap="round"/>`,
  )
  const shown = text === '' ? 'Channels, programs, apps' : text
  const drawn = canvas.text(130, 171, shown, {
    size: 27,
    fill: text === '' ? ink.faint : ink.text,
    unlisted: true,
    maxWidth: 900,
  })
  // A trailing blank has no outline, yet the cursor stands after it.
  const blanks = text.length - text.trimEnd().length
  canvas.shape(box({ x: 134 + (text === '' ? -10 : drawn + blanks * 9), y: 144, width: 3, height: 34 }, ink.accent))
  canvas.text(1196, 170, `${text.length}/${searchTextLimit}`, { size: 16, anchor: 'end', fill: ink.faint, unlisted: true })
  canvas.list(area, { text, hint: 'Search text', className: 'EditText', clickable: true })
}

function drawKey(
  canvas: Canvas,
  area: { x: number; y: number; width: number; height: number },
  key: string,
  focused: boolean,
): void {
  canvas.shape(box(area, focused ? '#f4f7ff' : ink.raised, 12))
  const style = {
    size: key.length > 1 ? 18 : 24,
    weight: 'bold',
    anchor: 'middle',
    fill: focused ? '#0c1226' : ink.text,
    unlisted: true,
  } as const
  canvas.text(area.x + area.width / 2, area.y + 37, key, style)
  canvas.list(area, { text: key, className: 'Button', clickable: true, focused })
}

function drawResults(canvas: Canvas, scene: Search, now: number): void {
  const results = searchResults(scene.text, now)
  if (results.length === 0) {
    const hint = scene.text.trim() === '' ? 'Type with the arrows and OK' : 'Nothing found'
    canvas.text(876, 420, hint, { size: 24, anchor: 'middle', fill: ink.soft })
    return
  }
  for (const [i, result] of results.entries()) {
    const area = { x: 556, y: 222 + i * 76, width: 664, height: 66 }
    const focused = scene.focus === 'results' && scene.index === i
    canvas.shape(box(area, focused ? '#f4f7ff' : ink.panel, 14))
    const channel = result.channel === null ? null : channelAt(result.channel)
    const name = `hit${i}`
    const fill = canvas.define(name, linear(name, [channel?.color ?? ink.violet, channel?.second ?? ink.accent], 'diagonal'))
    canvas.shape(box({ x: 566, y: area.y + 9, width: 82, height: 48 }, fill, 10))
    canvas.text(607, area.y + 41, channel?.ident ?? 'APP', { size: 19, weight: 'bold', anchor: 'middle', unlisted: true })
    canvas.text(668, area.y + 31, result.label, {
      size: 21,
      weight: 'bold',
      fill: focused ? '#0c1226' : ink.text,
      unlisted: true,
    })
    canvas.text(668, area.y + 54, result.hint, { size: 16, fill: focused ? '#4a5578' : ink.soft, unlisted: true, maxWidth: 530 })
    canvas.list(area, { text: result.label, hint: result.hint, className: 'Button', clickable: true, focused })
  }
}
