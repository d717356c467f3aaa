/** Levels of each color by which ground may differ from the ground it touches, and from the corner where it began. */
const stepTolerance = 14
const wholeTolerance = 60

/**
 * Makes the ground transparent: everything that is reached from the edge of the picture without a step in color. What lies
 * inside of a closed shape stays, also in the color of the ground.
 */
export async function removeBackground(source: Buffer): Promise<Buffer> {
  const { default: sharp } = await import('sharp')
  const image = sharp(source).toColorspace('srgb').ensureAlpha().raw()
  const { data, info } = await image.toBuffer({ resolveWithObject: true })
  const { width, height } = info
  const isGround = new Uint8Array(width * height)
  /** Where the ground that led to a place began. */
  const origin = new Uint32Array(width * height)
  const queue: number[] = []
  const differs = (one: number, other: number, most: number): boolean => {
    for (let color = 0; color < 3; color += 1)
      if (Math.abs((data[one * 4 + color] ?? 0) - (data[other * 4 + color] ?? 0)) > most) return true
    return false
  }
  const corners = [0, width - 1, (height - 1) * width, height * width - 1]
  for (const corner of corners) {
    if (isGround[corner]) continue
    isGround[corner] = 1
    origin[corner] = corner
    queue.push(corner)
  }
  for (let at = queue.pop(); at !== undefined; at = queue.pop()) {
    const x = at % width
    const begun = origin[at] ?? at
    for (const next of [x > 0 ? at - 1 : -1, x < width - 1 ? at + 1 : -1, at - width, at + width]) {
      if (next < 0 || next >= isGround.length || isGround[next]) continue
      if (differs(at, next, stepTolerance) || differs(begun, next, wholeTolerance)) continue
      isGround[next] = 1
      origin[next] = begun
      queue.push(next)
    }
  }
  for (const [place, ground] of isGround.entries()) if (ground) data[place * 4 + 3] = 0
  return sharp(data, { raw: { width, height, channels: 4 } })
    .png()
    .toBuffer()
}
