import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findImports, readSource } from './source-text.ts'

const names = (text: string) => findImports(text).map(({ specifier }) => specifier)

test('gate: every way to name a module is found', () => {
  const text = `import { a } from 'one'
import b, { type C,
  d } from "./two.ts"
import 'three'
import * as n from 'node:fs'
export * from './four.ts'
export { q } from './five.ts'
const six = await import(/* lazily */ 'six')
type Z = import('seven').Foo
`
  assert.deepEqual(names(text), ['one', './two.ts', 'three', 'node:fs', './four.ts', './five.ts', 'six', 'seven'])
  assert.equal(findImports(text)[1]?.line, 3)
})

test('gate: type imports are told apart', () => {
  const found = findImports(`import type { A } from 'a'\nimport { type B } from 'b'\nexport type { C } from 'c'\n`)
  assert.deepEqual(
    found.map(({ isTypeOnly }) => isTypeOnly),
    [true, false, true],
  )
})

test('gate: comments, strings, templates and regular expressions are not code', () => {
  const text = `// import { no } from 'no'
/*
import no from 'no'
*/
const text = "import x from 'no'"
const pattern = /import '\`["/
const half = total / 2 / count
const url = \`http://host/\${f({ brace: '}' })} import z from 'no' \`
import { yes } from 'yes'
`
  assert.deepEqual(names(text), ['yes'])
  assert.equal(readSource(text).code.length, text.length)
  assert.equal(readSource(text).comments.length, 2)
})
