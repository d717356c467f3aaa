import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ScriptName } from './script.contract.ts'
import { parseScriptArgs, type ScriptParameter } from './script-args.ts'

const optional = (name: string, over: Partial<ScriptParameter> = {}): ScriptParameter => ({
  name,
  type: 'optional',
  required: false,
  help: '',
  default: '',
  value_type: 'str',
  ...over,
})
const required = (name: string, over: Partial<ScriptParameter> = {}) => optional(name, { required: true, default: null, ...over })

test('api-core.md 10: what scripts declare, in the list and by add_argument', () => {
  const cases: [string, string, ScriptParameter[]][] = [
    ['nothing', 'print("hello")', []],
    ['an empty list', '_script_args = []', []],
    [
      'name, type and default',
      '_script_args = ["--host:str:lab-1", "--max:int:5", "--rate:float:0.5", "--all:bool:true"]',
      [
        optional('host', { default: 'lab-1' }),
        optional('max', { default: '5', value_type: 'int' }),
        optional('rate', { default: '0.5', value_type: 'float' }),
        optional('all', { default: 'true', value_type: 'bool' }),
      ],
    ],
    ['an empty default', "_script_args = ['--url:str:']", [optional('url')]],
    ['no default', "_script_args = ['--url:str']", [required('url')]],
    ['a name alone', "_script_args = ['--url']", [required('url')]],
    ['None', "_script_args = ['--url:str:None']", [optional('url', { default: null })]],
    [
      'Python booleans',
      "_script_args = ['--a:bool:True', '--b:bool:False']",
      [optional('a', { default: 'true', value_type: 'bool' }), optional('b', { default: 'false', value_type: 'bool' })],
    ],
    ['an unknown type is text', "_script_args = ['--a:list:x']", [optional('a', { default: 'x' })]],
    [
      'dashes stay in names',
      "_script_args = ['--max-iteration:int:3']",
      [optional('max-iteration', { default: '3', value_type: 'int' })],
    ],
    [
      'a default with colons and brackets',
      "_script_args = ['--url:str:http://a:1/[x]', '--b:str:2']",
      [optional('url', { default: 'http://a:1/[x]' }), optional('b', { default: '2' })],
    ],
    [
      'several lines with comments',
      "main._script_args = [\n  '--a:str:1',  # first\n  '--b:str:2',\n]",
      [optional('a', { default: '1' }), optional('b', { default: '2' })],
    ],
    ['a type annotation in Python', "_script_args: list[str] = ['--a:str:1']", [optional('a', { default: '1' })]],
    [
      'a type annotation in TypeScript',
      "export const _script_args: readonly string[] = ['--a:str:1']",
      [optional('a', { default: '1' })],
    ],
    ['a list as const', "export const _script_args = ['--a:str:1'] as const", [optional('a', { default: '1' })]],
    ['a comment of a shell script', '# _script_args = ["--a:str:1"]', [optional('a', { default: '1' })]],
    [
      'used before it is declared',
      "args = params(_script_args)\n_script_args = ['--a:str:1']",
      [optional('a', { default: '1' })],
    ],
    ['Windows line ends', "_script_args = [\r\n'--a:str:1'\r\n]", [optional('a', { default: '1' })]],
    [
      'add_argument',
      "parser.add_argument('--max', type=int, default=5, help='how many')",
      [optional('max', { default: '5', value_type: 'int', help: 'how many' })],
    ],
    ['add_argument, required', "p.add_argument('-m', '--max', required=True)", [required('max')]],
    ['add_argument, no default', "p.add_argument('--max')", [optional('max', { default: null })]],
    ['add_argument, None', "p.add_argument('--max', default=None)", [optional('max', { default: null })]],
    ['a flag', "p.add_argument('--quiet', action='store_true')", [optional('quiet', { default: 'false', value_type: 'bool' })]],
    ['a positional', "p.add_argument('ui')", [{ ...required('ui'), type: 'positional' }]],
    [
      'a positional that may be absent',
      "p.add_argument('ui', nargs='?', default='home')",
      [{ ...optional('ui', { default: 'home' }), type: 'positional' }],
    ],
    [
      'a call over several lines',
      "p.add_argument(\n    '--a',\n    help='x, y (z)',\n    default='1',\n)",
      [optional('a', { default: '1', help: 'x, y (z)' })],
    ],
    [
      'the list goes before a call of the same name',
      "_script_args = ['--a:int:1']\np.add_argument('--a', default='2')",
      [optional('a', { default: '1', value_type: 'int' })],
    ],
    ['a name twice counts once', "_script_args = ['--a:str:1', '--a:str:2']", [optional('a', { default: '1' })]],
  ]
  for (const [what, source, expected] of cases) assert.deepEqual(parseScriptArgs(source), expected, what)
})

test('only the first 300 lines are read, and strange texts cost no time', () => {
  const late = `${'\n'.repeat(299)}_script_args = ['--a:str:1']`
  assert.equal(parseScriptArgs(late).length, 1)
  assert.equal(parseScriptArgs(`\n${late}`).length, 0)
  const from = process.cpuUsage()
  for (const text of [
    `_script_args = [${"'--a:str:1',".repeat(2000)}`,
    `_script_args = [${'"'.repeat(20_000)}`,
    `add_argument(${'('.repeat(20_000)}`,
    `add_argument(${'"a",'.repeat(5000)}`,
    'add_argument('.repeat(2000),
    '_script_args '.repeat(2000),
    `_script_args = ${'[('.repeat(10_000)}`,
  ]) {
    parseScriptArgs(text)
  }
  const ms = process.cpuUsage(from).user / 1000
  assert.ok(ms < 5000, `${Math.round(ms)} ms of computing`)
})

test('names of scripts never leave the folder', () => {
  for (const name of ['goto', 'zapping.ts', 'gw/smartping', 'my script-2.sh', '_x', 'Büro'])
    assert.ok(ScriptName.safeParse(name).success, name)
  for (const name of [
    '',
    '.',
    '..',
    '../a',
    'a/../b',
    '/a',
    'a/',
    'a/b/c',
    '.a',
    'a/.b',
    '-a',
    'a\\b',
    'a\u0000',
    'a\nb',
    'a%2fb',
    'x'.repeat(301),
    1,
    null,
  ]) {
    assert.ok(!ScriptName.safeParse(name).success, String(name))
  }
})
