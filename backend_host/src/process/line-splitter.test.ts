import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLineSplitter, maxLineBytes } from './line-splitter.ts'

function split(bytes: Buffer, size: number): string[] {
  const splitter = createLineSplitter()
  const lines: string[] = []
  for (let at = 0; at < bytes.length; at += size) lines.push(...splitter.push(bytes.subarray(at, at + size)))
  return [...lines, ...splitter.end()]
}

test('N11: lines do not depend on where the stream is cut', () => {
  const bytes = Buffer.from('größe\r\n\n日本語 🙂\nlast')
  for (let size = 1; size <= bytes.length; size++)
    assert.deepEqual(split(bytes, size), ['größe', '', '日本語 🙂', 'last'], `chunks of ${size}`)
})

test('long and binary lines become storable text of bounded length', () => {
  for (const bytes of [
    Buffer.alloc(maxLineBytes, 'a'),
    Buffer.alloc(maxLineBytes + 1, 'a'),
    Buffer.alloc(maxLineBytes - 10, 0xff),
    Buffer.from('🙂'.repeat(maxLineBytes)),
    Buffer.alloc(1_000_000),
  ]) {
    for (const size of [1000, 65_536]) {
      const [line = '', ...others] = split(Buffer.concat([bytes, Buffer.from('\n')]), size)
      assert.equal(others.length, 0)
      assert.ok(Buffer.byteLength(line) <= maxLineBytes)
      assert.ok(line.isWellFormed() && !line.includes('\0'))
    }
  }
  assert.deepEqual(split(Buffer.alloc(maxLineBytes, 'a'), 100), ['a'.repeat(maxLineBytes)])
})
