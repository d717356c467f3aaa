import assert from 'node:assert/strict'
import { test } from 'node:test'
import { withoutPassword } from './host.view.ts'

test('the VNC password is cut out of every form of a stream path, and nothing else', () => {
  const page = 'https://lab.example.org/host/vnc/vnc_lite.html'
  const cases: [unknown, unknown][] = [
    [`${page}?password=secret`, page],
    [`${page}?password=`, page],
    [`${page}?password=secret&autoconnect=1`, `${page}?autoconnect=1`],
    [`${page}?autoconnect=1&password=secret`, `${page}?autoconnect=1`],
    [`${page}?a=1&password=secret&b=2`, `${page}?a=1&b=2`],
    [`${page}?PASSWORD=secret`, page],
    [`${page}?password=a&password=b`, page],
    [`${page}?password=sec%26ret#top`, `${page}#top`],
    [page, page],
    ['/host/stream/capture1', '/host/stream/capture1'],
    ['/host/stream/password=x', '/host/stream/password=x'],
    [null, null],
    [7, 7],
  ]
  for (const [path, expected] of cases) assert.equal(withoutPassword(path), expected, String(path))
})
