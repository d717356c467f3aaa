import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { ParameterError, splitParameters } from './split-parameters.ts'

test('parameters are split as a shell does it where nothing is to be expanded', () => {
  const texts = [
    '',
    '   ',
    '--a 1 --b=2',
    `'one word' "another one" mi'x'"ed"`,
    `"" '' x`,
    `a\\ b \\"quoted\\" \\\\ "in \\"side\\" \\\\ \\x"`,
    `'single \\ stays' "tab\there"`,
    'line\\\njoined "also\\\nhere"',
    'größe "日本語 テスト"',
    'a\tb\nc',
  ]
  for (const text of texts) {
    const shell = text.includes('\n') && !text.includes('\\\n') ? text.replaceAll('\n', ' ') : text
    const output = execFileSync('bash', ['-c', `set -f; printf '%s\\0' ${shell}`], { encoding: 'utf8' })
    // printf without arguments prints one empty string.
    const expected = text.trim() === '' ? [] : output.split('\0').slice(0, -1)
    assert.deepEqual(splitParameters(text), expected, JSON.stringify(text))
  }
})

test('what a shell would expand or run is plain text', () => {
  assert.deepEqual(splitParameters('$HOME `id` $(id) * ~ ; | & > x {a,b} #no'), [
    '$HOME',
    '`id`',
    '$(id)',
    '*',
    '~',
    ';',
    '|',
    '&',
    '>',
    'x',
    '{a,b}',
    '#no',
  ])
})

test('parameters that no shell would accept are refused', () => {
  for (const text of ['"open', "it's", 'end\\', 'nul \0 inside'])
    assert.throws(() => splitParameters(text), ParameterError, JSON.stringify(text))
})
