import assert from 'node:assert/strict'
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import test, { type TestContext } from 'node:test'
import { parseIni } from '../../src/container/ini.ts'
import { freePort } from '../db/pgbouncer.ts'
import { cleanUp, isRoot, temporaryFolder, until } from '../db/tools.ts'
import { openServerSlot } from '../reliability/server-process.ts'
import { createTestDatabase } from '../test-db.ts'

// The files of deploy/ for a machine without containers, with the real programs that read them.

const root = path.resolve(import.meta.dirname, '../../..')
const read = (file: string): string => readFileSync(path.join(root, 'deploy', file), 'utf8')
const has = (program: string, ...args: string[]): boolean => spawnSync(program, args).status === 0

test('the systemd unit is one that systemd accepts, and stops in time', (t) => {
  const unit = parseIni(read('systemd/virtualpytest.service').replaceAll(/^Environment=(\w+)=/gm, 'Environment.$1='))
  const service = unit.get('Service')
  assert.equal(service?.get('KillMode'), 'mixed', 'the server stops its database itself')
  assert.ok(Number(service?.get('TimeoutStopSec')) >= 15)
  assert.equal(service?.get('Environment.NODE_ENV'), 'production')
  if (!has('systemd-analyze', '--version')) return t.diagnostic('not verified: needs systemd-analyze')
  const verify = (text: string): string => {
    const file = path.join(temporaryFolder(t), 'virtualpytest.service')
    writeFileSync(file, text)
    const run = spawnSync('systemd-analyze', ['verify', file], { encoding: 'utf8' })
    return run.status === 0
      ? run.stderr
          .split('\n')
          .filter((line) => line.includes('virtualpytest.service'))
          .join('\n')
      : `status ${run.status} ${run.stderr}`
  }
  const here = read('systemd/virtualpytest.service').replaceAll('/opt/virtualpytest', root)
  assert.equal(verify(here), '')
  assert.notEqual(verify(here.replace('Type=exec', 'Typo=exec')), '', 'the check finds a wrong word')
})

test('E2: under supervisord the server starts with awkward settings from its file, and stops in order', {
  skip: has('supervisord', '--version') ? false : 'needs supervisord',
}, async (t) => {
  const { url } = await createTestDatabase(t)
  const folder = temporaryFolder(t)
  chmodSync(folder, 0o755)
  const port = await freePort()
  const apiKey = `a # key with $HOME, %(x)s, "quotes" and spaces`
  writeFileSync(
    path.join(folder, 'server.env'),
    `SERVER_PORT=${port}\nDATABASE_URL='${url}'\nAPI_KEY='${apiKey}'\nHOST_REGISTRATION=key\nAUTH_MODE=open\n`,
  )
  const dataDir = path.join(folder, 'data')
  mkdirSync(dataDir)
  if (isRoot) chownSync(dataDir, 65_534, 65_534)
  const program = read('supervisor/virtualpytest.conf')
    .replace('--env-file', '-C source --env-file')
    .replace('dist/main.js', 'src/main.ts')
    .replace('/opt/virtualpytest/node_modules/.bin/node', process.execPath)
    .replaceAll('/opt/virtualpytest', root)
    .replace('/etc/virtualpytest', folder)
    .replaceAll('/var/lib/virtualpytest', dataDir)
    .replace('/var/log/supervisor', folder)
    .replace('user=virtualpytest', isRoot ? 'user=nobody' : '')
  assert.doesNotMatch(program, /\/opt\/virtualpytest|\/etc\/virtualpytest/)
  const config = path.join(folder, 'supervisord.conf')
  writeFileSync(
    config,
    `[supervisord]\nnodaemon=true\nlogfile=${folder}/supervisord.log\npidfile=${folder}/supervisord.pid\n` +
      `[unix_http_server]\nfile=${folder}/s.sock\n[supervisorctl]\nserverurl=unix://${folder}/s.sock\n` +
      `[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n${program}`,
  )
  const supervisor = spawn('supervisord', ['-c', config], { stdio: 'ignore' })
  const ended = once(supervisor, 'exit')
  cleanUp(t, async () => {
    supervisor.kill('SIGTERM')
    await ended
  })
  const log = (): string => readFileSync(path.join(folder, 'virtualpytest.log'), 'utf8')
  const isReady = async (): Promise<boolean> =>
    (await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined))?.status === 200
  await until('the server is ready', isReady)
  const register = async (key: string): Promise<number> => {
    const headers = { 'content-type': 'application/json', 'x-api-key': key }
    return (
      await fetch(`http://127.0.0.1:${port}/server/system/ping`, { method: 'POST', headers, body: '{"host_name":"nobody"}' })
    ).status
  }
  assert.deepEqual([await register('wrong'), await register(apiKey)], [401, 404], 'the key arrived as it was written')
  supervisor.kill('SIGTERM')
  await ended
  assert.match(log(), /"msg":"stopped"/)
  assert.ok(!log().includes(apiKey))
})

test('U1, U8, W1, W3: the nginx site for TLS passes paths, large bodies and WebSockets', {
  skip: has('nginx', '-v') && has('openssl', 'version') ? false : 'needs nginx and openssl',
}, async (t: TestContext) => {
  const { url: databaseUrl } = await createTestDatabase(t)
  const server = await openServerSlot(t, { databaseUrl: () => databaseUrl, env: { TRUSTED_PROXIES: '1' } })
  server.start()
  await server.waitUntilReady(60_000)
  const folder = temporaryFolder(t)
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      `${folder}/privkey.pem`,
      '-out',
      `${folder}/fullchain.pem`,
      '-days',
      '2',
      '-subj',
      '/CN=localhost',
      '-addext',
      'subjectAltName=DNS:localhost',
    ],
    { stdio: 'ignore' },
  )
  const port = await freePort()
  const site = read('nginx/virtualpytest.conf')
    .replaceAll(/^ *listen \[::\].*$/gm, '')
    .replace(/listen 80;/, `listen 127.0.0.1:${await freePort()};`)
    .replace('listen 443', `listen 127.0.0.1:${port}`)
    .replaceAll('lab.example.org', 'localhost')
    .replaceAll('/etc/ssl/virtualpytest', folder)
    .replace('127.0.0.1:10000', new URL(server.url).host)
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${folder}/${name};`)
    .join(' ')
  const config = path.join(folder, 'nginx.conf')
  writeFileSync(
    config,
    `daemon off; pid ${folder}/nginx.pid; error_log ${folder}/error.log; events {}\nhttp { access_log off; ${paths}\n${site}\n}\n`,
  )
  if (isRoot) chmodSync(folder, 0o711)
  const nginx = spawn('nginx', ['-c', config], { stdio: 'ignore' })
  const ended = once(nginx, 'exit')
  cleanUp(t, async () => {
    nginx.kill('SIGTERM')
    await ended
  })
  const address = `https://localhost:${port}`
  const curl = (...args: string[]): string =>
    execFileSync('curl', ['-sS', '--cacert', `${folder}/fullchain.pem`, '--max-time', '20', ...args], {
      encoding: 'utf8',
      maxBuffer: 1e8,
    })
  const status = (...args: string[]): string => curl('-o', '/dev/null', '-w', '%{http_code}', ...args)
  await until('nginx answers', () => has('curl', '-fsS', '--cacert', `${folder}/fullchain.pem`, `${address}/health`))
  for (const where of ['/health', '/server/system/getAllHosts', '/system/getAllHosts', '/server/docs'])
    assert.equal(status(`${address}${where}`), '200', where)
  const upgrade = [
    '-H',
    'Connection: Upgrade',
    '-H',
    'Upgrade: websocket',
    '-H',
    'Sec-WebSocket-Version: 13',
    '-H',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  ]
  const socket = spawnSync(
    'curl',
    [
      '-sSi',
      '--http1.1',
      '--cacert',
      `${folder}/fullchain.pem`,
      '--max-time',
      '2',
      ...upgrade,
      `${address}/server/socket.io/?EIO=4&transport=websocket`,
    ],
    { encoding: 'latin1' },
  )
  assert.match(socket.stdout, /^HTTP\/1\.1 101 /)
  const stream = spawnSync(
    'curl',
    ['-sSN', '--cacert', `${folder}/fullchain.pem`, '--max-time', '2', `${address}/server/events?rooms=team`],
    { encoding: 'utf8' },
  )
  assert.match(stream.stdout, /^retry: /, 'the beginning of a stream is not held back')
  const large = path.join(folder, 'large.json')
  writeFileSync(large, JSON.stringify({ text: 'x'.repeat(5e6) }))
  assert.notEqual(
    status('-H', 'content-type: application/json', '--data-binary', `@${large}`, `${address}/server/system/ping`),
    '502',
  )
  assert.match(
    curl('-H', 'content-type: application/json', '--data-binary', `@${large}`, `${address}/server/system/ping`),
    /"request_id"/,
    'the server itself answers',
  )
})
