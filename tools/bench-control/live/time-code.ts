import sharp from 'sharp'

/** Sixteen fields beside each other, white for a bit that is set, lowest first: the time a device shows, as a camera would see it. */
const fields = 16

/** A page that shows the time of its clock in units of 10 ms, anew with each picture that the browser paints. */
export const clockPage = `data:text/html,${encodeURIComponent(`<body style="margin:0;background:#888">
${'<i style="float:left;width:80px;height:80px"></i>'.repeat(fields)}<script>
  const fields = [...document.querySelectorAll('i')]
  const draw = () => {
    const now = Math.floor(Date.now() / 10)
    fields.forEach((field, bit) => { field.style.background = (now >> bit) & 1 ? '#fff' : '#000' })
    requestAnimationFrame(draw)
  }
  draw()
</script>`)}`
export const pageCode = { y: 40, unitMs: 10 } as const
/** The test card of the simulated box, channel 24: the number of its picture, 25 a second. */
export const boxCode = { y: 712, unitMs: 40 } as const
export type TimeCode = typeof pageCode | typeof boxCode

/** How long ago the device showed what is in this picture, counted when the picture is decoded. */
export async function ageOf(jpeg: Buffer, { y, unitMs }: TimeCode): Promise<number> {
  const { data, info } = await sharp(jpeg).grayscale().raw().toBuffer({ resolveWithObject: true })
  const now = Date.now()
  let shown = 0
  for (let bit = 0; bit < fields; bit += 1) {
    if ((data[y * info.width + bit * 80 + 40] ?? 0) > 128) shown |= 1 << bit
  }
  return (((Math.floor(now / unitMs) & 0xffff) - shown + 0x10000) & 0xffff) * unitMs
}

/** Share of a picture that is dark, in percent. */
export async function darkShare(jpeg: Buffer): Promise<number> {
  const data = await sharp(jpeg).resize(64, 36, { fit: 'fill' }).grayscale().raw().toBuffer()
  return (data.filter((level) => level < 24).length / data.length) * 100
}
