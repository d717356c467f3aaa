import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LabError } from '@virtualpytest/shared'
import { assertNotTooDeep } from './json-depth.ts'

const deep = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels)

test('bodies nested beyond all measure are refused before anybody walks through them', () => {
  for (const text of [
    deep(500),
    '{}',
    '',
    '[[]',
    ']]]]',
    '"unfinished',
    '"\\',
    `{"a":"${'['.repeat(10_000)}"}`,
    `["\\"${'{'.repeat(10_000)}"]`,
    `[${'[],'.repeat(10_000)}[]]`,
  ]) {
    assertNotTooDeep(text)
  }
  for (const text of [deep(501), '{"a":'.repeat(501), `"x",${'['.repeat(501)}`, `{"\\\\":${deep(500)}}`]) {
    assert.throws(
      () => assertNotTooDeep(text),
      (error) => error instanceof LabError && error.code === 'validation_error',
    )
  }
})
