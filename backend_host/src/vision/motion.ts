import { type Area, insideOf } from './picture.ts'

/** What moves and what is dark, on small gray pictures: enough to see it, cheap enough to watch all day. */
export const smallWidth = 160
export const smallHeight = 90
export type SmallGray = Uint8Array

/** `part`: only this rectangle of the picture. */
export async function loadSmallGray(picture: Buffer, part: Area | null = null): Promise<SmallGray> {
  const { default: sharp } = await import('sharp')
  const image = sharp(picture)
  const inside = part && insideOf(await image.metadata(), part)
  if (part && !inside) throw new Error('The area lies outside of the picture')
  const seen = inside ? image.extract({ left: inside.x, top: inside.y, width: inside.width, height: inside.height }) : image
  return seen.resize(smallWidth, smallHeight, { fit: 'fill', kernel: 'linear' }).grayscale().raw().toBuffer()
}

/** Twelve of 256 levels: more than the noise of picture compression, less than what a person sees as movement. */
const noiseLevels = 12
/** Below this a pixel is black, also after a decoder that calls 16 black. */
const darkLevel = 24

/** Remembers the lowest and the highest level of each place while pictures come in. */
export function createMotionWatch() {
  const lowest = new Uint8Array(smallWidth * smallHeight).fill(255)
  const highest = new Uint8Array(smallWidth * smallHeight)
  return {
    add(picture: SmallGray): void {
      for (const [i, level] of picture.entries()) {
        if (level < (lowest[i] ?? 255)) lowest[i] = level
        if (level > (highest[i] ?? 0)) highest[i] = level
      }
    },
    /** The share of the picture, in percent, that changed at any time while it was watched. */
    percent(): number {
      const moved = highest.filter((level, i) => level - (lowest[i] ?? 0) > noiseLevels).length
      return Math.round((moved / highest.length) * 1000) / 10
    },
  }
}

export function changedPercent(before: SmallGray, now: SmallGray): number {
  let changed = 0
  for (const [i, level] of now.entries()) if (Math.abs(level - (before[i] ?? 0)) > noiseLevels) changed += 1
  return (changed / now.length) * 100
}

/** The share of the picture, in percent, that is black. */
export function darkPercent(picture: SmallGray): number {
  let dark = 0
  for (const level of picture) if (level < darkLevel) dark += 1
  return Math.round((dark / picture.length) * 1000) / 10
}

/** From here on a picture counts as black: the corner logo of a television may stay. */
export const blackPercent = 98
