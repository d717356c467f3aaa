/**
 * Takes the bytes of a live picture (multipart/x-mixed-replace) as they come and gives each JPEG in it. It is not the reader of the product,
 * which these are the viewers of.
 */
export function readMjpegParts(onPicture: (jpeg: Buffer) => void): (chunk: Uint8Array) => void {
  let rest = Buffer.alloc(0)
  return (chunk) => {
    rest = Buffer.concat([rest, chunk])
    for (;;) {
      const end = rest.indexOf('\r\n\r\n')
      const length = Number(/content-length: (\d+)/.exec(rest.subarray(0, Math.max(end, 0)).toString('latin1'))?.[1])
      if (end < 0 || rest.length < end + 4 + length) return
      onPicture(rest.subarray(end + 4, end + 4 + length))
      rest = rest.subarray(end + 4 + length)
    }
  }
}
