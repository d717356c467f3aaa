import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkWords } from './check-words.ts'
import { formatProblem } from './files.ts'
import { makeTree } from './temporary-tree.ts'

const codes = new Set(['stale_token'])
const manifest = { 'package.json': JSON.stringify({ scripts: { check: 'x' } }) }
/** Put together here, so that this file is not found by what it tests. */
const ignoreComment = `// @ts-${'ignore'}`
const unfinished = `TO${'DO'}`

test('gate: silenced checks, unfinished places and unknown error codes are found', (t) => {
  const root = makeTree(t, {
    ...manifest,
    'backend_host/src/a.ts': `${ignoreComment}\nconst x = 1 // ${unfinished} later\n// ${unfinished} (#12) is fine\n`,
    'backend_host/src/b.ts': "send({ code: 'stale_token' })\nsend({ code: 'stale_tokn' })\n",
    'backend_host/src/hostUtils.ts': '',
    'backend_host/src/long.ts': '\n'.repeat(500),
    'tools/a.test.ts': `test.${'only'}('x', () => {})\n`,
    'docs/a.md': 'Run `npm run chekc` or `npm run check`.\nThe behav' + 'iour.\n',
    'README.md': 'See `tools/a.test.ts`, `tools/gone.ts` and `tools/x.ts`.\n',
  })
  assert.deepEqual(
    checkWords(root, codes).map((problem) => formatProblem(problem).replace(/: .*/, '')),
    [
      'README.md:1  there is no tools/gone.ts',
      `backend_host/src/a.ts:1  @ts-${'ignore'}`,
      `backend_host/src/a.ts:2  ${unfinished}`,
      'backend_host/src/b.ts:2  error code stale_tokn is not in the tables of the contract',
      'backend_host/src/hostUtils.ts  file names are in kebab-case',
      'backend_host/src/long.ts  has 501 lines',
      'docs/a.md:1  there is no npm script chekc',
      'docs/a.md:2  American spelling, please',
      `tools/a.test.ts:1  test.${'only'}(`,
    ],
  )
})
