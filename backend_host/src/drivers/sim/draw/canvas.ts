import type { Element } from '../../driver.ts'
import { outlineOf, outlineSize, type Weight } from './glyphs.ts'

export const screenWidth = 1280
export const screenHeight = 720

export const ink = {
  night: '#080d1c',
  panel: '#141d38',
  raised: '#1d2849',
  line: '#2d3a63',
  text: '#f4f7ff',
  soft: '#a9b5d6',
  faint: '#6f7da6',
  accent: '#35d6c4',
  violet: '#7b61ff',
  red: '#ff5d6c',
} as const

export type TextStyle = {
  size: number
  weight?: Weight
  fill?: string
  anchor?: 'start' | 'middle' | 'end'
  opacity?: number
  /** Longer text ends with an ellipsis. */
  maxWidth?: number
  /** Not listed among the texts of the screen, because an element around it already carries the text. */
  unlisted?: boolean
  /** Name of the element in listings, where scripts look for it. */
  id?: string
}

export type Drawing = { svg: string; texts: string[]; elements: Element[] }

type Area = { x: number; y: number; width: number; height: number }

/**
 * Collects the picture and the list of what can be read in it with the same calls, so that screen() cannot
 * name a text that is not drawn.
 */
export type Canvas = ReturnType<typeof createCanvas>

export function createCanvas(packageName: string) {
  const parts: string[] = []
  const definitions = new Map<string, string>()
  const elements: Element[] = []

  function shape(svg: string): void {
    parts.push(svg)
  }

  /** A gradient or clip, defined once under its name. */
  function define(name: string, svg: string): string {
    definitions.set(name, svg)
    return `url(#${name})`
  }

  function list(
    area: Area,
    element: { id?: string; text: string; className: string; hint?: string; clickable?: boolean; focused?: boolean },
  ): void {
    const { x, y, width, height } = area
    elements.push({
      id: element.id ?? `e${elements.length + 1}`,
      text: element.text,
      className: element.className,
      contentDesc: element.hint ?? '',
      package: packageName,
      bounds: { left: Math.round(x), top: Math.round(y), right: Math.round(x + width), bottom: Math.round(y + height) },
      clickable: element.clickable ?? false,
      enabled: true,
      xpath: null,
      ...(element.focused === undefined ? {} : { focused: element.focused }),
    })
  }

  /** `y` is the base line. Returns the width that was drawn. */
  function text(x: number, y: number, value: string, style: TextStyle): number {
    const drawn = textSvg(x, y, value, style)
    parts.push(drawn.svg)
    if (!style.unlisted && value.trim() !== '') {
      const area = { x: drawn.left, y: y - style.size * 0.78, width: drawn.width, height: style.size }
      list(area, { text: value, className: 'TextView', ...(style.id ? { id: style.id } : {}) })
    }
    return drawn.width
  }

  /** What is drawn so far stays in the picture but can no longer be reached, as the window below a menu. */
  function cover(): void {
    elements.length = 0
  }

  function finish(): Drawing {
    const defs = definitions.size > 0 ? `<defs>${[...definitions.values()].join('')}</defs>` : ''
    const size = `width="${screenWidth}" height="${screenHeight}" viewBox="0 0 ${screenWidth} ${screenHeight}"`
    const svg = `<svg xmlns="http://www.w3.org/2000/svg" ${size}>${defs}<rect width="1280" height="720" fill="#000"/>${parts.join('')}</svg>`
    return { svg, texts: elements.map((element) => element.text).filter((value) => value !== ''), elements }
  }

  return { shape, define, list, text, cover, finish }
}

/** Text as a path: also used inside pictures, where it belongs to the program and not to the box. */
export function textSvg(x: number, y: number, value: string, style: TextStyle): { svg: string; left: number; width: number } {
  const scale = style.size / outlineSize
  const weight = style.weight ?? 'regular'
  const outline = outlineOf(fit(value, style.maxWidth, scale, weight), weight)
  const width = outline.width * scale
  const start = style.anchor === 'end' ? x - width : style.anchor === 'middle' ? x - width / 2 : x
  const move = `translate(${round(start - outline.left * scale)} ${round(y)}) scale(${round(scale)})`
  const opacity = style.opacity === undefined ? '' : ` opacity="${round(style.opacity)}"`
  return { svg: `<path transform="${move}" fill="${style.fill ?? ink.text}"${opacity} d="${outline.path}"/>`, left: start, width }
}

function fit(value: string, maxWidth: number | undefined, scale: number, weight: Weight): string {
  const shown = value.replace(/\s+/g, ' ')
  if (maxWidth === undefined || outlineOf(shown, weight).width * scale <= maxWidth) return shown
  let length = Math.floor((shown.length * maxWidth) / (outlineOf(shown, weight).width * scale))
  while (length > 1 && outlineOf(`${shown.slice(0, length)}…`, weight).width * scale > maxWidth) length -= 1
  return `${shown.slice(0, length).trimEnd()}…`
}

export function round(value: number): number {
  return Math.round(value * 1000) / 1000
}

export function linear(
  name: string,
  stops: readonly [string, string],
  direction: 'down' | 'right' | 'diagonal' = 'down',
): string {
  const [x2, y2] = direction === 'down' ? [0, 1] : direction === 'right' ? [1, 0] : [1, 1]
  const from = `<stop offset="0" stop-color="${stops[0]}"/>`
  return `<linearGradient id="${name}" x1="0" y1="0" x2="${x2}" y2="${y2}">${from}<stop offset="1" stop-color="${stops[1]}"/></linearGradient>`
}

/** A gradient between two strengths of one color: for shades over a picture. */
export function shade(name: string, color: string, from: number, to: number, direction: 'down' | 'right' = 'down'): string {
  const end = direction === 'down' ? 'x2="0" y2="1"' : 'x2="1" y2="0"'
  const first = `<stop offset="0" stop-color="${color}" stop-opacity="${from}"/>`
  return `<linearGradient id="${name}" x1="0" y1="0" ${end}>${first}<stop offset="1" stop-color="${color}" stop-opacity="${to}"/></linearGradient>`
}

export function radial(name: string, inner: string, outer: string): string {
  return `<radialGradient id="${name}"><stop offset="0" stop-color="${inner}"/><stop offset="1" stop-color="${outer}"/></radialGradient>`
}

export function box(area: Area, fill: string, corner = 0, more = ''): string {
  const { x, y, width, height } = area
  return `<rect x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${round(height)}" rx="${corner}" fill="${fill}" ${more}/>`
}

export function circle(x: number, y: number, radius: number, fill: string, more = ''): string {
  return `<circle cx="${round(x)}" cy="${round(y)}" r="${round(radius)}" fill="${fill}" ${more}/>`
}
