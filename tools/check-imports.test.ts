import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkImports } from './check-imports.ts'
import { formatProblem } from './files.ts'
import { makeTree } from './temporary-tree.ts'

const manifests = {
  'package.json': JSON.stringify({ devDependencies: { autocannon: '1' } }),
  'shared/package.json': JSON.stringify({ name: '@virtualpytest/shared', dependencies: { zod: '4', pg: '8' } }),
  'backend_server/package.json': JSON.stringify({
    name: '@virtualpytest/backend-server',
    dependencies: { '@virtualpytest/shared': '0', fastify: '5' },
  }),
  'backend_host/package.json': JSON.stringify({
    name: '@virtualpytest/backend-host',
    dependencies: { '@virtualpytest/shared': '0' },
  }),
}

const server = 'backend_server/src'
const host = 'backend_host/src'

/** Each row: a file, its text, and a part of the complaint about it. */
const planted: [file: string, text: string, complaint: string][] = [
  ['shared/src/a.ts', "import { readFileSync } from 'node:fs'", 'imports node:fs: the contract runs in browsers'],
  ['shared/src/b.ts', "import pg from 'pg'", 'imports pg: the contract runs in browsers'],
  [`${server}/features/runs/a.ts`, "import { x } from '../leases/lease.store.ts'", 'a feature imports the contract'],
  [`${server}/features/runs/b.ts`, "export * from '../../app.ts'", 'a feature imports the contract'],
  [`${server}/features/runs/c.ts`, "import { readConfig } from '../../config.ts'", 'a feature imports the contract'],
  [`${server}/features/runs/d.ts`, "const pg = await import('pg')", 'backend_server/package.json does not declare it'],
  [`${server}/features/runs/e.ts`, "import x from 'autocannon'", 'backend_server/package.json does not declare it'],
  [`${server}/features/runs/f.ts`, 'const home = process.env.HOME', 'reads process.env'],
  [`${server}/features/runs/g.ts`, "import { x } from './run.test.ts'", 'a test file'],
  [`${server}/http/a.ts`, "import { x } from '../features/runs/index.ts'", 'plumbing never knows a feature'],
  [`${server}/db/a.ts`, "import { x } from '../app.ts'", 'plumbing never knows a feature'],
  [`${server}/main.ts`, "import { x } from './features/runs/index.ts'", 'only app.ts imports features'],
  [`${server}/app.ts`, "import { x } from './features/runs/run.store.ts'", 'app.ts is the only file'],
  [`${server}/cli/a.ts`, "import { x } from '../db/database.ts'", 'the command talks HTTP'],
  [`${server}/a.ts`, "import { x } from '../../backend_host/src/config.ts'", 'leaves its workspace'],
  [`${server}/b.ts`, "import { x } from '@virtualpytest/backend-host/sdk'", 'does not declare it'],
  [`${host}/drivers/sim/a.ts`, "import { x } from '../web/web-driver.ts'", 'never another driver'],
  [`${host}/drivers/sim/b.ts`, "import { x } from '../../link/link.ts'", 'never the link'],
  [`${host}/sdk/a.ts`, "import { x } from '../features/runs/index.ts'", 'knows nothing else'],
  ['test_scripts/a.ts', "import { z } from 'fastify'", 'uses the SDK'],
]

for (const [file, text, complaint] of planted) {
  test(`gate: ${file} may not say ${text}`, (t) => {
    const problems = checkImports(makeTree(t, { ...manifests, [file]: `// the first line\n${text}\n` }))
    assert.equal(problems.length, 1)
    assert.ok(problems[0]?.text.includes(complaint), problems[0]?.text)
    assert.equal(problems[0]?.file, file)
    assert.equal(problems[0]?.line, 2)
  })
}

test('gate: what the table allows passes', (t) => {
  const root = makeTree(t, {
    ...manifests,
    'shared/src/a.ts': "import { z } from 'zod'\nimport { b } from './leases/index.ts'\n",
    [`${server}/features/runs/a.ts`]: `import { randomUUID } from 'node:crypto'
import { LabError } from '@virtualpytest/shared'
import type { FastifyInstance } from 'fastify'
import type { Config } from '../../config.ts'
import { query } from '../../db/query.ts'
import { claimDevice } from '../leases/index.ts'
import { runStore } from './run.store.ts'
`,
    [`${server}/features/runs/a.test.ts`]:
      "import x from 'autocannon'\nimport { y } from '../leases/lease.store.ts'\nprocess.env.HOME\n",
    [`${server}/config.ts`]: 'export const env = process.env\n',
    [`${server}/app.ts`]: "import { x } from './features/runs/index.ts'\nimport { y } from './db/database.ts'\n",
    [`${host}/drivers/sim/a.ts`]:
      "import type { Driver } from '../driver.ts'\nimport { run } from '../../process/run-process.ts'\n",
    'test_scripts/a.ts': "import { step } from '@virtualpytest/backend-host/sdk'\n",
  })
  assert.deepEqual(checkImports(root).map(formatProblem), [])
})
