import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { repositoryRoot } from './files.ts'
import { makeTree } from './temporary-tree.ts'

const tsconfig = JSON.stringify({
  compilerOptions: { strict: true, module: 'nodenext', target: 'es2024', types: [] },
  include: ['*.ts'],
})
const save = 'export async function save(): Promise<void> {}\n'

function lint(t: TestContext, files: Record<string, string>) {
  const root = makeTree(t, { 'tsconfig.json': tsconfig, ...files })
  const program = join(repositoryRoot, 'node_modules', '.bin', 'oxlint')
  const run = spawnSync(program, ['--type-aware', '-c', join(repositoryRoot, '.oxlintrc.json')], { cwd: root, encoding: 'utf8' })
  return { status: run.status, output: run.stdout + run.stderr }
}

for (const [what, text, rule] of [
  ['a floating promise', 'save()', 'no-floating-promises'],
  ['a promise made silent by void', 'void save()', 'no-floating-promises'],
  ['a promise where nobody waits for one', 'const f: () => void = async () => { await save() }\nf()', 'no-misused-promises'],
  ['a condition that is a promise', 'if (save()) throw new Error()', 'no-misused-promises'],
  ['waiting for what is no promise', 'await 1', 'await-thenable'],
] as const) {
  test(`gate: the linter refuses ${what}`, (t) => {
    const { status, output } = lint(t, { 'a.ts': `${save}${text}\n` })
    assert.notEqual(status, 0)
    assert.match(output, new RegExp(rule))
  })
}

test('gate: the linter accepts a promise that somebody answers for', (t) => {
  const text = `${save}await save()\nsave().catch(() => {})\n`
  const { status, output } = lint(t, { 'a.ts': text })
  assert.equal(status, 0, output)
})
