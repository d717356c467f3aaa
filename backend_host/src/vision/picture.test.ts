import assert from 'node:assert/strict'
import { test } from 'node:test'
import sharp from 'sharp'
import { loadPicture } from './picture.ts'

const blank = (width: number, height: number): Promise<Buffer> =>
  sharp({ create: { width, height, channels: 3, background: '#000' } })
    .png({ compressionLevel: 9 })
    .toBuffer()

test('S: a small file with the pixels of a hundred screens is refused before they are unpacked', async () => {
  const bomb = await blank(8000, 8000)
  assert.ok(bomb.length < 1_000_000)
  await assert.rejects(loadPicture(bomb), /pixel limit/)
  assert.equal((await loadPicture(await blank(7680, 4320))).width, 7680, 'a screen of 8K is none')
})
