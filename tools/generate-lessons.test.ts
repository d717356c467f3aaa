import assert from 'node:assert/strict'
import test from 'node:test'
import { findTests, idsOfTitles, problemsOf } from './generate-lessons.ts'
import { makeTree } from './temporary-tree.ts'

test('gate: ids of lessons are read from the front of titles only', () => {
  assert.deepEqual(idsOfTitles(`${'test'}('U8, S23: a body of R2', () => {})\n  ${'test'}("N1 M4: more", {\n`), ['U8', 'M4'])
  assert.deepEqual(idsOfTitles("test('without an id, H1 or not', () => {})\n// H2: no title\nassert('H3: no test')"), [])
})

test('gate: a lesson without test and without reason is a problem, and so is an id that is no lesson', (t) => {
  const root = makeTree(t, {
    'a/x.test.ts': `${'test'}('P1, V9: ports', () => {})\n`,
    'a/y.ts': `${'test'}('P2: not a test file', () => {})\n`,
  })
  const { files, unknown } = findTests(root, new Set(['P1', 'P2', 'P3']))
  assert.deepEqual([...files], [['P1', ['a/x.test.ts']]])
  assert.deepEqual(unknown, ['a/x.test.ts names V9, which is no lesson'])
  const lessons = { P1: { rule: 'a' }, P2: { rule: 'b' }, P3: { rule: 'c', open: 'needs a platform' } }
  const [problem, ...others] = problemsOf([{ title: 'Ports', lessons }], files)
  assert.match(problem ?? '', /^P2 has neither a test/)
  assert.deepEqual(others, [])
})
