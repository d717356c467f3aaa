import assert from 'node:assert/strict'
import { test } from 'node:test'
import { webRoutes } from '@virtualpytest/shared'
import { forwardedCalls, limitOf } from './forwarded-calls.ts'

test('S: a page that does not load is told by the host in its own words: the server waits longer than the page may take', () => {
  const open = forwardedCalls.find(({ route }) => route === webRoutes.navigateToUrl)
  const close = forwardedCalls.find(({ route }) => route === webRoutes.closeBrowser)
  assert.ok(open && close)
  const limits = [{}, { timeout: null }, { timeout: 3_000 }, { timeout: 60_000 }, { timeout: 1e9 }].map((fields) =>
    limitOf(open, fields),
  )
  assert.deepEqual(limits, [35_000, 35_000, 30_000, 65_000, 115_000])
  assert.equal(limitOf(close, { timeout: 60_000 }), 30_000)
})
