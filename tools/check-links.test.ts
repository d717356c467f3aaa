import assert from 'node:assert/strict'
import { test } from 'node:test'
import { anchorsOf, checkLinks } from './check-links.ts'
import { formatProblem } from './files.ts'
import { makeTree } from './temporary-tree.ts'

test('gate: broken links and anchors are found', (t) => {
  const root = makeTree(t, {
    'README.md': `# Title
[gone](docs/gone.md) and [here](docs/a.md) and [no heading](docs/a.md#nothing)
[own](#title) [not own](#titel)
[defined]: docs/b.md
![picture](docs/none.png)
[out](../elsewhere.md)
`,
    'docs/a.md': '# A\n',
  })
  assert.deepEqual(checkLinks(root).map(formatProblem), [
    'README.md:2  docs/gone.md leads to nothing',
    'README.md:2  docs/a.md has no heading #nothing',
    'README.md:3  README.md has no heading #titel',
    'README.md:5  docs/none.png leads to nothing',
    'README.md:6  ../elsewhere.md leads out of the repository',
    'README.md:4  docs/b.md leads to nothing',
  ])
})

test('gate: code, comments and addresses are not links to files', (t) => {
  const root = makeTree(t, {
    'README.md': `Some \`[code](gone.md)\` and <!-- [comment](gone.md) --> and [web](https://example.org/x) [mail](mailto:a@b.c)

\`\`\`md
[example](gone.md)
\`\`\`
`,
  })
  assert.deepEqual(checkLinks(root), [])
})

test('gate: headings have the anchors that GitHub gives them', () => {
  const anchors = anchorsOf('# The `vpt` command!\n## Add a route, a job\n## Add a route, a job\n```sh\n# not a heading\n```\n')
  assert.deepEqual([...anchors], ['the-vpt-command', 'add-a-route-a-job', 'add-a-route-a-job-1'])
})
