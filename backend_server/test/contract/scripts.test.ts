import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { startLab } from '../start-lab.ts'
import { assertEnvelope } from './raw-call.ts'

const python = `#!/usr/bin/env python3
_script_args = [
    "--host:str:",
    "--max-iteration:int:50",
    "--audio:bool:false",
    '--goto:str:live [HD]',
    "--edge:str:None",
]
parser.add_argument("userinterface_name", nargs="?", default="horizon", help="UI to test")
parser.add_argument('--verbose', action='store_true', help='more words')
`

async function makeScripts(t: TestContext): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'vpt-scripts-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  await mkdir(path.join(folder, 'gw', 'deeper'), { recursive: true })
  await mkdir(path.join(folder, '.git'), { recursive: true })
  const files: Record<string, string> = {
    'goto.py': python,
    'zapping.ts': "export const _script_args: string[] = ['--max:int:3']\n",
    'gw/smartping.py': '',
    'gw/deeper/hidden.py': '',
    '.git/hook.py': '',
    '_helper.py': '',
    'notes.md': '',
    'zapping.test.ts': '',
    '.secret.py': '',
  }
  for (const [name, text] of Object.entries(files)) await writeFile(path.join(folder, name), text)
  await writeFile(path.join(folder, '..', `${path.basename(folder)}-outside.py`), '')
  t.after(() => rm(`${folder}-outside.py`, { force: true }))
  await symlink(`${folder}-outside.py`, path.join(folder, 'linked.py'))
  return folder
}

test('api-core.md 10: script/list', async (t) => {
  const folder = await makeScripts(t)
  const lab = await startLab(t, { env: { TEST_SCRIPTS_DIR: folder }, host: { scripts: ['zapping.ts', 'only_here.sh'] } })
  const { status, body, text } = await lab.get('/server/script/list')
  assert.equal(status, 200)
  const names = ['goto', 'gw/smartping', 'only_here.sh', 'zapping.ts']
  assert.deepEqual(body, {
    success: true,
    scripts: names,
    count: 4,
    scripts_directory: 'test_scripts',
    regular_scripts: names,
    ai_scripts: [],
    ai_test_cases_info: [],
    details: [
      { name: 'goto', hosts: [] },
      { name: 'gw/smartping', hosts: [] },
      { name: 'only_here.sh', hosts: ['lab-1'] },
      { name: 'zapping.ts', hosts: ['lab-1'] },
    ],
  })
  assert.ok(!text.includes(folder), 'no absolute path')

  const empty = await startLab(t, { hosts: 0, env: { TEST_SCRIPTS_DIR: path.join(folder, 'not-there') } })
  const none = await empty.get('/server/script/list')
  assert.equal(none.status, 404)
  assertEnvelope(none, 'script/list')
})

test('api-core.md 10: script/analyze, for listed names only', async (t) => {
  const folder = await makeScripts(t)
  const lab = await startLab(t, { env: { TEST_SCRIPTS_DIR: folder }, host: { scripts: ['only_here.sh'] } })
  const analyze = (name: unknown) =>
    lab.post<{ parameters: Record<string, unknown>[]; script_name: string }>('/server/script/analyze', {
      script_name: name,
      device_model: 'stb',
      device_id: 'device1',
    })

  await t.test('parameters of both kinds of declaration', async () => {
    for (const name of ['goto', 'goto.py']) {
      const answer = await analyze(name)
      assert.equal(answer.status, 200, answer.text)
      const optional = (parameter: Record<string, unknown>) => ({
        type: 'optional',
        required: false,
        help: '',
        value_type: 'str',
        ...parameter,
      })
      assert.deepEqual(answer.body, {
        success: true,
        script_name: name,
        has_parameters: true,
        parameters: [
          optional({ name: 'host', default: '' }),
          optional({ name: 'max-iteration', default: '50', value_type: 'int' }),
          optional({ name: 'audio', default: 'false', value_type: 'bool' }),
          optional({ name: 'goto', default: 'live [HD]' }),
          optional({ name: 'edge', default: null }),
          {
            name: 'userinterface_name',
            type: 'positional',
            required: false,
            help: 'UI to test',
            default: 'horizon',
            value_type: 'str',
          },
          optional({ name: 'verbose', help: 'more words', default: 'false', value_type: 'bool' }),
        ],
      })
    }
    assert.deepEqual(
      (await analyze('zapping.ts')).body.parameters.map((parameter) => parameter.name),
      ['max'],
    )
    assert.deepEqual((await analyze('gw/smartping')).body.parameters, [])
    assert.equal((await analyze('only_here.sh')).status, 200, 'a script that only a host has')
  })

  await t.test('nothing outside the list is read, whatever the name', async () => {
    const outside = `${path.basename(folder)}-outside`
    const names = [
      'nothing',
      '../goto',
      `../${outside}`,
      `../${outside}.py`,
      `${folder}-outside.py`,
      '/etc/passwd',
      '../../../../etc/passwd',
      'gw/../goto',
      'gw/deeper/hidden',
      'linked',
      '_helper',
      '.secret',
      '.git/hook',
      'notes.md',
      'goto\u0000',
      'goto.py\u0000.ts',
      '..%2fgoto',
      'GOTO',
      'goto.py.py',
      'goto/',
      './goto',
      'gw\\smartping',
      'zapping',
      'zapping.test.ts',
      '*',
      'constructor',
      '__proto__',
    ]
    for (const name of names) {
      const answer = await analyze(name)
      assert.deepEqual(
        [answer.status, (answer.body as unknown as { code: string }).code],
        [404, 'script_not_found'],
        `${JSON.stringify(name)}: ${answer.text}`,
      )
      assertEnvelope(answer, name)
    }
    for (const name of [undefined, '', null, 1, ['goto'], 'x'.repeat(301)])
      assert.equal((await analyze(name)).status, 400, String(name))
  })

  await t.test('nor can such a name be run', async () => {
    const execute = (name: string) =>
      lab.post('/server/script/execute', { host_name: 'lab-1', device_id: 'device1', script_name: name })
    for (const name of ['../goto', '/etc/passwd', 'a/b/c', '.secret', 'goto\u0000', '-rf', ''])
      assert.equal((await execute(name)).status, 400, name)
    const missing = await execute('goto')
    assert.deepEqual([missing.status, missing.body.code], [404, 'script_not_found'])
    assert.match(String(missing.body.error), /lab-1/, 'says that the host, not the server, lacks it')
  })
})
