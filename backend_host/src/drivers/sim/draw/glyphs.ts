import { createRequire } from 'node:module'
import { Resvg } from '@resvg/resvg-js'

/**
 * Text as outlines. Shaping a text costs resvg about 1 ms each time, which made a full screen take 50 ms; the outline of
 * the same text costs nothing again. Fonts come from a package: a lab machine may have none, or other ones.
 */
export type Weight = 'regular' | 'bold' | 'mono'
export type Outline = { path: string; left: number; width: number }

const resolve = createRequire(import.meta.url).resolve
const fontFiles = ['DejaVuSans', 'DejaVuSans-Bold', 'DejaVuSansMono-Bold'].map((name) =>
  resolve(`dejavu-fonts-ttf/ttf/${name}.ttf`),
)
const font = { fontFiles, loadSystemFonts: false, defaultFontFamily: 'DejaVu Sans' }

const faces: Record<Weight, string> = {
  regular: 'font-family="DejaVu Sans"',
  bold: 'font-family="DejaVu Sans" font-weight="700"',
  mono: 'font-family="DejaVu Sans Mono" font-weight="700"',
}

/** Outlines are made at this size and scaled; the fonts have no hints that would be lost. */
export const outlineSize = 100

const outlines = new Map<string, Outline>()
const maxOutlines = 3000

export function escapeXml(text: string): string {
  const clean = text.toWellFormed().replace(/\p{Cc}/gu, ' ')
  return clean.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`)
}

export function outlineOf(text: string, weight: Weight): Outline {
  const key = `${weight} ${text}`
  const known = outlines.get(key)
  if (known) return known
  if (outlines.size >= maxOutlines) outlines.clear()
  const drawn = drawOutline(text, weight)
  outlines.set(key, drawn)
  return drawn
}

function drawOutline(text: string, weight: Weight): Outline {
  if (text.trim() === '') return { path: '', left: 0, width: 0 }
  const element = `<text x="0" y="0" xml:space="preserve" ${faces[weight]} font-size="${outlineSize}">${escapeXml(text)}</text>`
  const resvg = new Resvg(`<svg xmlns="http://www.w3.org/2000/svg" width="9000" height="200">${element}</svg>`, { font })
  const paths = [...resvg.toString().matchAll(/ d="([^"]*)"/g)].map((match) => match[1] ?? '')
  // One digit after the point is a tenth of a pixel at outline size, a hundredth on the screen.
  const path = paths.join(' ').replace(/-?\d+\.\d+/g, (number) => String(Math.round(Number(number) * 10) / 10))
  return { path, ...extentOf(path) }
}

/** The paths have only M, L, Q, C and Z: every first number of a pair is an x. resvg's own box is wider than the ink. */
function extentOf(path: string): { left: number; width: number } {
  let left = Number.POSITIVE_INFINITY
  let right = Number.NEGATIVE_INFINITY
  for (const [, x] of path.matchAll(/(-?\d+(?:\.\d+)?) -?\d+(?:\.\d+)?/g)) {
    left = Math.min(left, Number(x))
    right = Math.max(right, Number(x))
  }
  return left <= right ? { left, width: right - left } : { left: 0, width: 0 }
}
