import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatOf, mustBeNamedAs } from './picture-format.ts'

test('a picture is what its bytes say', () => {
  assert.equal(formatOf(Buffer.from('ffd8ffe000104a464946', 'hex')), 'jpg')
  assert.equal(formatOf(Buffer.from('89504e470d0a1a0a0000000d', 'hex')), 'png')
  assert.equal(formatOf(Buffer.from('{"success":true}')), undefined)
  assert.equal(formatOf(Buffer.alloc(0)), undefined)
})

test('a name that says another format is refused, with the one that fits', () => {
  for (const file of ['a.jpg', 'a.JPEG', 'a', 'a.picture']) mustBeNamedAs(file, 'jpg')
  for (const file of ['a.png', 'A.PNG', 'a']) mustBeNamedAs(file, 'png')
  mustBeNamedAs('a.png', undefined)
  assert.throws(() => mustBeNamedAs('/tmp/x.png', 'jpg'), {
    message: 'The device gives JPEG, and /tmp/x.png is the name of another format. Nothing was saved.',
    hints: ['Use this name: -o /tmp/x.jpg'],
    exitCode: 2,
  })
  assert.throws(() => mustBeNamedAs('x.jpeg', 'png'), { hints: ['Use this name: -o x.png'] })
})
