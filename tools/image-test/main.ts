// Builds the image without a Docker engine and runs the container tests against it.
//
//   npm run image:test [-- --figures-only] [--keep]
//
// Needs root and, from Debian: buildah, debootstrap, and what the container tests need. The base image is made once and kept in
// the work folder (/var/tmp/virtualpytest-image); everything else there is removed at the end.
import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { cannotStartContainers } from '../../backend_server/test/container/container.ts'
import { repositoryRoot } from '../files.ts'
import { baseName, makeBase } from './base.ts'
import { buildah } from './buildah.ts'
import { type Figures, measure } from './measure.ts'

const work = '/var/tmp/virtualpytest-image'
const imageName = 'localhost/virtualpytest-backend-server'
const tests = ['supervision', 'failing-programs', 'both-topologies', 'process-one', 'users-and-volumes', 'log-relay'].map(
  (name) => `backend_server/test/container/${name}.test.ts`,
)

const say = (line: string): void => void process.stdout.write(`${line}\n`)
const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`

function build(): string {
  mkdirSync(work, { recursive: true })
  const from = performance.now()
  makeBase(work)
  say(`base image        ${seconds(performance.now() - from)}`)
  const started = performance.now()
  const args = ['--build-arg', `BASE=${baseName}`, '--build-arg', 'GRAFANA_VERSION=none', '-f', 'backend_server/Dockerfile']
  buildah(work, 'build', '--isolation', 'chroot', '--format', 'docker', ...args, '--tag', imageName, repositoryRoot)
  say(`image built       ${seconds(performance.now() - started)}`)
  const { size } = (JSON.parse(buildah(work, 'images', '--json', imageName)) as { size: string }[])[0] ?? { size: 'unknown' }
  say(`image size        ${size}`)
  return buildah(work, 'from', imageName).trim()
}

function show({ topology, healthMs, readyMs, stopMs, megabytes }: Figures): void {
  const sum = Object.values(megabytes).reduce((total, one) => total + one, 0)
  const list = Object.entries(megabytes).map(([name, one]) => `${name} ${one.toFixed(0)}`)
  say(`${topology.padEnd(7)} /health after ${seconds(healthMs)}, ready after ${seconds(readyMs)}, stopped in ${seconds(stopMs)}`)
  say(`        MB resident: ${list.join(', ')}; sum ${sum.toFixed(0)}`)
}

function runTests(image: string): number {
  const env = { ...process.env, VPT_TEST_IMAGE: image }
  const args = ['-C', 'source', '--test', '--test-concurrency=1', '--test-timeout=300000', ...tests]
  return spawnSync(process.execPath, args, { cwd: repositoryRoot, env, stdio: 'inherit' }).status ?? 1
}

const reason = cannotStartContainers()
if (reason) {
  say(`skipped: ${reason}`)
  process.exit(1)
}
process.chdir(path.resolve(repositoryRoot))
const container = build()
try {
  const image = buildah(work, 'mount', container).trim()
  for (const topology of ['direct', 'nginx'] as const) show(await measure(image, topology))
  if (!process.argv.includes('--figures-only')) process.exitCode = runTests(image)
} finally {
  if (!process.argv.includes('--keep')) {
    buildah(work, 'rm', container)
    buildah(work, 'rmi', imageName)
  }
}
