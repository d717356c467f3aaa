import {
  type Area,
  filterGray,
  type GrayImage,
  grayOf,
  type ImageFilter,
  insideOf,
  loadPicture,
  type Picture,
} from './picture.ts'

/**
 * Looks for a small picture in a large one by normalized difference, coarse to fine: first on pictures of an eighth of
 * the size, then only around the best places of each level. A full search at full size would take minutes in JavaScript.
 */
export type ImageMatch = { x: number; y: number; width: number; height: number; confidence: number }

type Place = { x: number; y: number; confidence: number }

/** Below this many pixels on a side a picture has lost what distinguishes it. */
const smallestSide = 8
const mostHalvings = 3
const keptPlaces = 12

/** A gray picture of a file or its bytes. */
export async function loadGray(source: Buffer | string): Promise<GrayImage> {
  return grayOf(await loadPicture(source))
}

function crop(image: GrayImage, area: Area): GrayImage {
  const part = insideOf(image, area)
  if (!part) return { width: 0, height: 0, levels: new Uint8Array() }
  const levels = new Uint8Array(part.width * part.height)
  for (let y = 0; y < part.height; y += 1) {
    const from = (part.y + y) * image.width + part.x
    levels.set(image.levels.subarray(from, from + part.width), y * part.width)
  }
  return { width: part.width, height: part.height, levels }
}

function halve({ width, height, levels }: GrayImage): GrayImage {
  const half = { width: width >> 1, height: height >> 1 }
  const smaller = new Uint8Array(half.width * half.height)
  for (let y = 0; y < half.height; y += 1) {
    for (let x = 0; x < half.width; x += 1) {
      const at = y * 2 * width + x * 2
      const sum = (levels[at] ?? 0) + (levels[at + 1] ?? 0) + (levels[at + width] ?? 0) + (levels[at + width + 1] ?? 0)
      smaller[y * half.width + x] = (sum + 2) >> 2
    }
  }
  return { ...half, levels: smaller }
}

/** Variance that counts as nothing, so that flat pictures of the same level match and of other levels do not. */
const noise = 25

/** 1 when the part of the screen at (x, y) is the picture; 0 or less when they have nothing in common. */
function confidenceAt(screen: GrayImage, wanted: GrayImage, x: number, y: number): number {
  const { width, height } = wanted
  let difference = 0
  let sumA = 0
  let squaresA = 0
  let sumB = 0
  let squaresB = 0
  for (let row = 0; row < height; row += 1) {
    const onScreen = (y + row) * screen.width + x
    const inWanted = row * width
    for (let column = 0; column < width; column += 1) {
      const a = screen.levels[onScreen + column] ?? 0
      const b = wanted.levels[inWanted + column] ?? 0
      difference += (a - b) * (a - b)
      sumA += a
      squaresA += a * a
      sumB += b
      squaresB += b * b
    }
  }
  const count = width * height
  const spread = squaresA - (sumA * sumA) / count + squaresB - (sumB * sumB) / count
  return 1 - difference / (spread + noise * count)
}

function bestPlaces(places: Place[]): Place[] {
  const kept: Place[] = []
  for (const place of places.sort((a, b) => b.confidence - a.confidence)) {
    const isNew = kept.every((one) => Math.abs(one.x - place.x) > 1 || Math.abs(one.y - place.y) > 1)
    if (isNew) kept.push(place)
    if (kept.length === keptPlaces) break
  }
  return kept
}

function searchAll(screen: GrayImage, wanted: GrayImage): Place[] {
  const places: Place[] = []
  for (let y = 0; y + wanted.height <= screen.height; y += 1) {
    for (let x = 0; x + wanted.width <= screen.width; x += 1)
      places.push({ x, y, confidence: confidenceAt(screen, wanted, x, y) })
  }
  return bestPlaces(places)
}

function searchAround(screen: GrayImage, wanted: GrayImage, around: Place[]): Place[] {
  const places: Place[] = []
  for (const { x: centerX, y: centerY } of around) {
    for (let y = centerY * 2 - 2; y <= centerY * 2 + 2; y += 1) {
      for (let x = centerX * 2 - 2; x <= centerX * 2 + 2; x += 1) {
        const isInside = x >= 0 && y >= 0 && x + wanted.width <= screen.width && y + wanted.height <= screen.height
        if (isInside) places.push({ x, y, confidence: confidenceAt(screen, wanted, x, y) })
      }
    }
  }
  return bestPlaces(places)
}

/** The best places of `wanted` on `screen`, the best first; none when it does not fit. */
function findPlaces(screen: GrayImage, wanted: GrayImage, area?: Area | null): Place[] {
  const searched = area ? crop(screen, area) : screen
  if (wanted.width === 0 || wanted.height === 0 || wanted.width > searched.width || wanted.height > searched.height) return []
  const levels: { screen: GrayImage; wanted: GrayImage }[] = [{ screen: searched, wanted }]
  for (let i = 0; i < mostHalvings; i += 1) {
    const last = levels.at(-1)
    if (!last || Math.min(last.wanted.width, last.wanted.height) < smallestSide * 2) break
    levels.push({ screen: halve(last.screen), wanted: halve(last.wanted) })
  }
  let places: Place[] | null = null
  for (const level of levels.reverse()) {
    // Fewer places at the finer levels, where each one costs four times as much.
    places = places ? searchAround(level.screen, level.wanted, places).slice(0, 4) : searchAll(level.screen, level.wanted)
  }
  const offset = area ? insideOf(screen, area) : null
  return (places ?? []).map((place) => ({ ...place, x: place.x + (offset?.x ?? 0), y: place.y + (offset?.y ?? 0) }))
}

function matchOf(place: Place | undefined, { width, height }: { width: number; height: number }): ImageMatch | null {
  return place ? { x: place.x, y: place.y, width, height, confidence: Math.max(0, place.confidence) } : null
}

/** The best place of `wanted` on `screen`, or null when it does not fit. */
export function findImage(screen: GrayImage, wanted: GrayImage, area?: Area | null): ImageMatch | null {
  return matchOf(findPlaces(screen, wanted, area)[0], wanted)
}

/**
 * The same with colors: places are found in gray, which costs a third, and judged by the worse of both. Two buttons that
 * differ in their color alone are equal in gray.
 */
export function findPicture(
  screen: Picture,
  wanted: Picture,
  options: { area?: Area | null; filter?: ImageFilter } = {},
): ImageMatch | null {
  const { area, filter = 'none' } = options
  const places = findPlaces(filterGray(grayOf(screen), filter), filterGray(grayOf(wanted), filter), area)
  const judged = places.map((place) => {
    const inColor = filter === 'none' ? colorConfidenceAt(screen, wanted, place.x, place.y) : 1
    return { ...place, confidence: Math.min(place.confidence, inColor) }
  })
  return matchOf(judged.sort((a, b) => b.confidence - a.confidence)[0], wanted)
}

/** As for gray, with the spread of each color about its own mean. */
function colorConfidenceAt(screen: Picture, wanted: Picture, x: number, y: number): number {
  let difference = 0
  let spread = 0
  const count = wanted.width * wanted.height
  for (let channel = 0; channel < 3; channel += 1) {
    let sumA = 0
    let squaresA = 0
    let sumB = 0
    let squaresB = 0
    for (let row = 0; row < wanted.height; row += 1) {
      let a = ((y + row) * screen.width + x) * 3 + channel
      let b = row * wanted.width * 3 + channel
      for (let column = 0; column < wanted.width; column += 1, a += 3, b += 3) {
        const seen = screen.pixels[a] ?? 0
        const asked = wanted.pixels[b] ?? 0
        difference += (seen - asked) * (seen - asked)
        sumA += seen
        squaresA += seen * seen
        sumB += asked
        squaresB += asked * asked
      }
    }
    spread += squaresA - (sumA * sumA) / count + squaresB - (sumB * sumB) / count
  }
  return 1 - difference / (spread + noise * count * 3)
}

/** Mean brightness of a picture, 0 (black) to 100. */
export async function luminance(picture: Buffer, area?: Area): Promise<number> {
  const image = await loadGray(picture)
  const part = area ? crop(image, area) : image
  if (part.levels.length === 0) return 0
  let sum = 0
  for (const level of part.levels) sum += level
  return (sum / part.levels.length / 255) * 100
}
