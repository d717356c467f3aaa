import assert from 'node:assert/strict'
import test from 'node:test'
import { checkConfiguration } from './check-configuration.ts'
import { makeTree } from './temporary-tree.ts'

test('E8, gate: files of settings that no parser accepts are found', (t) => {
  const root = makeTree(t, {
    'good.json': '{"a": [1]}',
    'bad.json': '{"a": 1,}',
    'good.yaml': 'a: &x\n  b: 1\nc: *x\n',
    'bad.yaml': 'a:\n  - b\n c: d\n',
    'twice.yml': 'a: 1\na: 2\n',
    'alias.yaml': 'a: *nobody\n',
    'good.ini': '[a]\nb = c\n',
    'bad.ini': '[a]\nnothing\n',
    'x/supervisor/bad.conf': 'command=before any section\n',
    'x/nginx/other.conf': 'not ours to { parse',
    'bad.service': '',
    'env.example': '# A comment\nNAME=value\nname: value\n',
    'read.md': '{',
  })
  assert.deepEqual(
    checkConfiguration(root).map(({ file }) => file),
    ['alias.yaml', 'bad.ini', 'bad.json', 'bad.service', 'bad.yaml', 'env.example', 'twice.yml', 'x/supervisor/bad.conf'],
  )
})
