import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import test from 'node:test'
import { parse } from 'yaml'
import { z } from 'zod'
import { settings } from '../../src/config.ts'
import { parseIni } from '../../src/container/ini.ts'
import { nginxConfig } from '../../src/container/nginx-config.ts'
import { composePostgresFolder } from '../../src/container/prepare.ts'
import { supervisorConfig } from '../../src/container/supervisor-config.ts'
import { apiPortBehindNginx, embeddedPostgresPort } from '../../src/platform-rules.ts'

const root = path.resolve(import.meta.dirname, '../../..')
const read = (file: string): string => readFileSync(path.join(root, file), 'utf8')
const config = 'backend_server/config'

const Variables = z.array(z.object({ key: z.string(), value: z.string().optional(), sync: z.literal(false).optional() }))
const Render = z.object({ services: z.array(z.looseObject({ envVars: Variables })) })
const Service = z.looseObject({
  ports: z.array(z.string()).optional(),
  environment: z.record(z.string(), z.string()),
  volumes: z.array(z.string()),
  logging: z.object({ driver: z.string(), options: z.record(z.string(), z.string()) }),
})
const Compose = z.object({ services: z.record(z.string(), Service), volumes: z.record(z.string(), z.unknown()) })

const render = Render.parse(parse(read('render.yaml')))
const compose = Compose.parse(parse(read('compose.yaml')))
const dockerfile = read('backend_server/Dockerfile')
const direct = parseIni(read(`${config}/supervisor/supervisord-no-nginx.conf`))
const behindNginx = parseIni(read(`${config}/supervisor/supervisord.conf`))
const healthcheck = read('backend_server/docker/healthcheck')
const nginxTemplate = read(`${config}/nginx/nginx.conf.template`)

const supervisorPort = (ini: typeof direct): number =>
  Number(/(?:^|,)SERVER_PORT="(\d+)"/.exec(ini.get('program:api')?.get('environment') ?? '')?.[1])

test('S79, P1, R1: the port is the same in supervisor file, Dockerfile, Render, Compose, health check and settings', () => {
  const server = compose.services['backend-server']
  const found = {
    supervisor: supervisorPort(direct),
    dockerfile: Number(/^EXPOSE (\d+)$/m.exec(dockerfile)?.[1]),
    render: Number(render.services[0]?.envVars.find(({ key }) => key === 'SERVER_PORT')?.value),
    composeVariable: Number(server?.environment.SERVER_PORT),
    composePublished: Number(/:(\d+)$/.exec(server?.ports?.[0] ?? '')?.[1]),
    healthcheck: Number(/\$\{port:-(\d+)\}/.exec(healthcheck)?.[1]),
    settings: Number(settings.serverPort.fallback),
  }
  assert.deepEqual(new Set(Object.values(found)), new Set([10_000]), JSON.stringify(found))
})

test('S79: behind nginx the ports of supervisor file, nginx and PostgreSQL are those of the program', () => {
  assert.equal(supervisorPort(behindNginx), apiPortBehindNginx)
  const nginx = nginxConfig(nginxTemplate, { port: 80, runDir: '/run/virtualpytest', workerUser: 'www-data' })
  assert.match(nginx, /^ {4}listen 80 default_server;$/m)
  assert.match(nginx, new RegExp(`^ {4}server 127\\.0\\.0\\.1:${apiPortBehindNginx};$`, 'm'))
  for (const ini of [direct, behindNginx])
    assert.match(ini.get('program:postgres')?.get('command') ?? '', new RegExp(` ${embeddedPostgresPort}$`))
})

test('S78, P3, P4, P5: one port is exposed, and Compose publishes one', () => {
  assert.equal(dockerfile.match(/^EXPOSE /gm)?.length, 1)
  const published = Object.values(compose.services).flatMap(({ ports = [] }) => ports)
  assert.equal(published.length, 1)
  assert.match(published[0] ?? '', /^\$\{PUBLIC_PORT:-10000\}:10000$/)
})

test('S83-S85: the Render blueprint', () => {
  assert.equal(render.services.length, 1)
  const { envVars, ...service } = render.services[0] ?? { envVars: [] }
  assert.deepEqual(service, {
    type: 'web',
    name: 'virtualpytest-backend-server',
    runtime: 'docker',
    dockerfilePath: './backend_server/Dockerfile',
    dockerContext: '.',
    plan: 'free',
    region: 'oregon',
    branch: 'dev',
    healthCheckPath: '/health',
    maxShutdownDelaySeconds: 30,
  })
  assert.ok(existsSync(path.join(root, String(service.dockerfilePath))))
  const known = new Set<string>(Object.values(settings).map(({ env }) => env))
  const secrets = new Set<string>(Object.values(settings).flatMap((one) => ('secret' in one && one.secret ? [one.env] : [])))
  for (const { key, value, sync } of envVars) {
    assert.ok(known.has(key), `${key} is no setting`)
    if (secrets.has(key)) assert.deepEqual([value, sync], [undefined, false], `${key} is a secret`)
  }
})

test('S86, S87, L4: Compose has one volume and the variables of production, limits logs and gives no password', () => {
  for (const [name, service] of Object.entries(compose.services)) {
    assert.deepEqual(service.logging, { driver: 'json-file', options: { 'max-size': '10m', 'max-file': '3' } }, name)
    for (const [key, value] of Object.entries(service.environment))
      if (/PASSWORD|KEY|DATABASE_URL/.test(key)) assert.match(value, /^\$\{\w+:-\}$/, `${key} of ${name}`)
  }
  assert.deepEqual(compose.services['backend-server']?.volumes, ['data:/app/data'])
  assert.deepEqual(Object.keys(compose.volumes), ['data'], 'one named volume')
  const postgres = compose.services.postgres
  assert.deepEqual(postgres?.volumes, ['data:/var/lib/postgresql/data'])
  assert.equal(postgres?.environment.PGDATA, `/var/lib/postgresql/data/${composePostgresFolder}`)
  const production = render.services[0]?.envVars.map(({ key }) => key) ?? []
  const local = Object.keys(compose.services['backend-server']?.environment ?? {})
  assert.deepEqual(
    production.filter((key) => !local.includes(key)),
    [],
  )
})

test('S82, S77, H6, H7: the image is checked as specified and its base is pinned', () => {
  assert.match(dockerfile, /^HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 CMD /m)
  assert.match(dockerfile, /^ARG BASE=node:\d+\.\d+\.\d+-bookworm-slim$/m)
  // The setup installs what package-lock.json says and nothing else; see tools/setup/.
  assert.match(dockerfile, /^RUN node tools\/setup\.mjs$/m)
  assert.doesNotMatch(dockerfile, /npm (install|i|update)\b|--force|\bvite\b|npm run dev/)
  assert.match(dockerfile, /^ARG GRAFANA_VERSION=\d+\.\d+\.\d+$/m)
  for (const script of readdirSync(path.join(root, 'backend_server/docker'))) assert.match(script, /^[a-z_-]+(\.py)?$/)
})

test('H6: two builds install the same versions', () => {
  const Lock = z.object({ lockfileVersion: z.literal(3), packages: z.record(z.string(), z.looseObject({})) })
  const { packages } = Lock.parse(JSON.parse(read('package-lock.json')))
  const installed = Object.entries(packages).filter(([name, { link }]) => name.startsWith('node_modules/') && link !== true)
  assert.ok(installed.length > 100)
  for (const [name, { version, integrity }] of installed) {
    assert.match(String(version), /^\d+\.\d+\.\d+/, name)
    assert.match(String(integrity), /^sha512-/, name)
  }
  // Both stages on the one pinned base, and nothing fetched whose version nobody names.
  for (const from of dockerfile.match(/^FROM .*$/gm) ?? []) assert.match(from, /^FROM \$\{BASE\}( AS build)?$/)
  assert.doesNotMatch(dockerfile, /:latest|@latest|^ADD /m)
  assert.match(dockerfile, /"grafana=\$GRAFANA_VERSION"/)
  assert.match(dockerfile, /^COPY package\.json package-lock\.json /m)
})

test('F2: no braces are expanded in RUN, which is not done by bash', () => {
  const commands = dockerfile.replaceAll('\\\n', ' ').match(/^RUN .*$/gm) ?? []
  assert.ok(commands.length > 0)
  for (const command of commands) assert.doesNotMatch(command, /\w\{\w*,/)
})

test('E6: the build context holds what is named, and never an environment file, a key, a dump or a database', () => {
  const lines = read('.dockerignore')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
  assert.equal(lines[0], '*')
  for (const pattern of ['**/.env', '**/.env.*', '**/*.key', '**/*.pem', '**/*.dump', '**/*.sqlite', '**/node_modules'])
    assert.ok(lines.lastIndexOf(pattern) > lines.findLastIndex((line) => line.startsWith('!')), pattern)
})

for (const [name, ini] of [
  ['supervisord-no-nginx.conf', direct],
  ['supervisord.conf', behindNginx],
] as const) {
  test(`S43, S99, E1, V3, V4, V6, L2, W5: ${name}`, () => {
    assert.equal(ini.get('unix_http_server')?.get('chmod'), '0700')
    assert.equal(ini.has('inet_http_server'), false)
    assert.equal(ini.get('supervisord')?.get('loglevel'), 'info')
    assert.equal(ini.get('supervisord')?.get('nodaemon'), 'true')
    const values = [...ini.values()].flatMap((section) => [...section.values()])
    for (const value of values) assert.doesNotMatch(value, /%\(|DATABASE|PASSWORD|SECRET|API_KEY/)
    const programs = [...ini].filter(([title]) => title.startsWith('program:')).map(([, section]) => section)
    for (const program of programs) {
      assert.deepEqual(
        ['stopasgroup', 'killasgroup', 'redirect_stderr', 'autorestart'].map((key) => program.get(key)),
        Array.from({ length: 4 }, () => 'true'),
      )
      assert.notEqual(program.get('user') ?? 'root', 'root')
      assert.match(program.get('stdout_logfile') ?? '', /^\/var\/log\/supervisor\/[a-z]+\.log$/)
      assert.doesNotMatch(program.get('command') ?? '', /[|;&]|\bsh\b/)
    }
    const seconds = programs.map((program) => Number(program.get('stopwaitsecs')))
    assert.ok(seconds.reduce((sum, one) => sum + one, 0) <= 21, 'room for the supervisor itself within 25 s')
  })
}

test('F5: files and programs are given only to users that the image makes, or that Debian and its nginx bring', () => {
  const made = [...dockerfile.matchAll(/useradd [^\\&;]*\s(\w+)\s*(?:[\\&;]|$)/gm)].map(([, name]) => name)
  assert.deepEqual(made, ['vptuser', 'postgres', 'grafana'])
  const known = new Set([...made, 'root', 'www-data'])
  for (const ini of [direct, behindNginx]) {
    assert.equal(ini.get('unix_http_server')?.has('chown'), false, 'the control socket stays with the supervisor')
    for (const [title, section] of ini) assert.ok(known.has(section.get('user') ?? 'root'), title)
  }
  for (const [, owner] of dockerfile.matchAll(/--chown=(\w+)|\bchown (?:-\w+ )*(\w+)/g)) assert.ok(known.has(owner ?? ''), owner)
})

test('S49: programs stop in the order nginx, api, grafana, postgres', () => {
  const order = [...behindNginx]
    .filter(([title]) => title.startsWith('program:'))
    .sort(([, a], [, b]) => Number(b.get('priority')) - Number(a.get('priority')))
    .map(([title]) => title.slice('program:'.length))
  assert.deepEqual(order, ['nginx', 'api', 'grafana', 'postgres'])
})

test('S47, S81: the supervisor gets the wanted programs, and no users where it cannot change them', () => {
  const template = read(`${config}/supervisor/supervisord.conf`)
  const choice = { isRoot: false, apiPort: undefined, nginxStartsAsRoot: false, apiEnvFile: '/run/x/api.env' }
  const text = supervisorConfig(template, { ...choice, programs: new Set(['api', 'nginx']) })
  assert.deepEqual(
    [...parseIni(text).keys()].filter((title) => title.startsWith('program:')),
    ['program:api', 'program:nginx'],
  )
  assert.doesNotMatch(text, /^user=/m)
  assert.match(
    text,
    /^command=node --env-file-if-exists=\/run\/x\/api\.env --max-semi-space-size=4 --initial-old-space-size=32 --heap-growing-percent=40 dist\/container\/run-api\.js$/m,
  )
})

test('U1, U5, U6, U7, U8, U9, W1, W2, W3, S98: what the generated nginx file must and must not say', () => {
  const text = nginxConfig(nginxTemplate, { port: 8080, runDir: '/run/virtualpytest', workerUser: undefined })
  assert.doesNotMatch(text, /\{\{/)
  // No URI part, so no path is decoded, encoded or cut on the way.
  for (const [, target] of text.matchAll(/^ *proxy_pass ([^;]+);/gm)) assert.match(target ?? '', /^http:\/\/api(\$api_uri)?$/)
  assert.doesNotMatch(text, /Access-Control|127\.0\.0\.1:3000|localhost/)
  for (const line of [
    'client_max_body_size 64m;',
    'proxy_http_version 1.1;',
    'proxy_set_header Upgrade $http_upgrade;',
    'proxy_buffering off;',
    'proxy_read_timeout 3600s;',
    'proxy_set_header X-WEBAUTH-USER "";',
  ])
    assert.ok(text.includes(`    ${line}\n`) || text.includes(`  ${line}\n`), line)
})
