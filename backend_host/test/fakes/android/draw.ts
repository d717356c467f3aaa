import { createRequire } from 'node:module'
import { renderAsync } from '@resvg/resvg-js'
import { focusedNode, frontOf, nodesOf, type ScreenState } from './screen.ts'

const fontFile = createRequire(import.meta.url).resolve('dejavu-fonts-ttf/ttf/DejaVuSans-Bold.ttf')

const escaped = (text: string): string =>
  text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll('\n', '&#10;')

/** The picture as PNG, from the same elements that the listing names. */
export async function drawScreen(state: ScreenState): Promise<Buffer> {
  const { width, height } = state
  const focused = focusedNode(state)?.id
  const shapes = nodesOf(state).map(({ id, text, kind, bounds: b }) => {
    const fill = id === focused ? '#2f6fed' : kind === 'TextView' ? 'none' : '#26314d'
    const size = Math.round((b.bottom - b.top) * 0.45)
    const box = `<rect x="${b.left}" y="${b.top}" width="${b.right - b.left}" height="${b.bottom - b.top}" rx="8" fill="${fill}"/>`
    const label = `<text x="${b.left + 20}" y="${b.top + Math.round((b.bottom - b.top) * 0.65)}" font-size="${size}" fill="#fff">${escaped(text)}</text>`
    return box + label
  })
  const content = state.isAwake ? `<rect width="100%" height="100%" fill="#0d1326"/>${shapes.join('')}` : ''
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"><rect width="100%" height="100%"/>${content}</svg>`
  const drawn = await renderAsync(svg, {
    font: { fontFiles: [fontFile], loadSystemFonts: false, defaultFontFamily: 'DejaVu Sans' },
  })
  return Buffer.from(drawn.asPng())
}

/** The listing in the form of `uiautomator dump`, with the boxes around that a real one has. */
export function dumpScreen(state: ScreenState): string {
  const front = frontOf(state)
  const focused = focusedNode(state)?.id
  const node = (attributes: Record<string, string>): string =>
    `<node ${Object.entries(attributes)
      .map(([name, value]) => `${name}="${escaped(value)}"`)
      .join(' ')}`
  const inner = nodesOf(state).map(({ id, text, desc = '', kind, bounds: b, canFocus }, index) =>
    node({
      index: String(index),
      text,
      'resource-id': `${front}:id/${id}`,
      class: `android.widget.${kind}`,
      package: front,
      'content-desc': desc,
      clickable: String(canFocus),
      enabled: 'true',
      focused: String(id === focused),
      bounds: `[${b.left},${b.top}][${b.right},${b.bottom}]`,
    }),
  )
  const outer = node({
    index: '0',
    text: '',
    'resource-id': '',
    class: 'android.widget.FrameLayout',
    package: front,
    'content-desc': '',
    clickable: 'false',
    enabled: 'true',
    focused: 'false',
    bounds: `[0,0][${state.width},${state.height}]`,
  })
  const head = `<?xml version='1.0' encoding='UTF-8' standalone='yes' ?>`
  return `${head}<hierarchy rotation="0">${outer}>${inner.map((one) => `${one} />`).join('')}</node></hierarchy>`
}
