// Runs the container's tests on real supervisord and nginx: `npm run container:test`. They take minutes and install Debian
// packages, so they stand apart from `npm test`; each takes namespaces of its own and needs root.
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import path from 'node:path'

const folder = path.resolve(import.meta.dirname, '../backend_server/test/container')
const debian = ['supervisor', 'nginx', 'curl', 'procps', 'libnss-extrausers', 'iproute2', 'util-linux']

if (process.argv.includes('--help')) {
  console.log(
    'npm run container:test [-- NAME ...]\n\nSupervision, both topologies, PID 1 and volumes on real programs. NAME picks files.',
  )
  process.exit(0)
}
if (process.getuid?.() !== 0) {
  console.log('skipped: needs root for namespaces and users')
  process.exit(0)
}
const apt = (...args: string[]): boolean =>
  spawnSync('apt-get', ['-y', '-qq', ...args], { stdio: 'inherit', env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } })
    .status === 0
if (!apt('install', '--no-install-recommends', ...debian)) {
  apt('update')
  if (!apt('install', '--no-install-recommends', ...debian)) process.exit(1)
}
const names = process.argv.slice(2)
const files = readdirSync(folder)
  .filter((file) => file.endsWith('.long.test.ts') && (names.length === 0 || names.some((name) => file.includes(name))))
  .map((file) => path.join(folder, file))
const run = spawnSync(process.execPath, ['-C', 'source', '--test', '--test-concurrency=1', '--test-timeout=600000', ...files], {
  stdio: 'inherit',
})
process.exit(run.status ?? 1)
