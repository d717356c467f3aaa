// A base image for machines that have no engine and no image registry: Debian by debootstrap, and the Node of this checkout,
// which comes from the npm registry. It stands for node:VERSION-bookworm-slim.
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { buildah, run } from './buildah.ts'

const suite = 'bookworm'

/** Returns the name of the image, which says what it was made of. */
export function makeBase(work: string): string {
  const name = `localhost/virtualpytest-base:node-${process.versions.node}-${suite}`
  if (buildah(work, 'images', '--quiet', '--filter', `reference=${name}`).trim() !== '') return name
  const root = path.join(work, 'base')
  const downloads = path.join(work, 'debootstrap')
  rmSync(root, { recursive: true, force: true })
  mkdirSync(downloads, { recursive: true })
  run('debootstrap', ['--variant=minbase', `--cache-dir=${downloads}`, suite, root])
  const npm = path.dirname(path.dirname(realpathSync(run('sh', ['-c', 'command -v npm']).trim())))
  mkdirSync(path.join(root, 'usr/local/lib/node_modules'), { recursive: true })
  mkdirSync(path.join(root, 'usr/local/etc'), { recursive: true })
  copyFileSync(process.execPath, path.join(root, 'usr/local/bin/node'))
  cpSync(npm, path.join(root, 'usr/local/lib/node_modules/npm'), { recursive: true })
  symlinkSync('../lib/node_modules/npm/bin/npm-cli.js', path.join(root, 'usr/local/bin/npm'))
  trustWhatThisMachineTrusts(root)
  rmSync(path.join(root, 'var/cache/apt/archives'), { recursive: true, force: true })
  const container = buildah(work, 'from', 'scratch').trim()
  buildah(work, 'copy', '--quiet', container, root, '/')
  buildah(work, 'commit', '--quiet', '--rm', container, name)
  rmSync(root, { recursive: true, force: true })
  return name
}

/** Networks with a proxy of their own have certificates and settings of apt for it. */
function trustWhatThisMachineTrusts(root: string): void {
  const certificates = '/etc/ssl/certs/ca-certificates.crt'
  if (existsSync(certificates)) {
    mkdirSync(path.join(root, 'etc/ssl/certs'), { recursive: true })
    copyFileSync(certificates, path.join(root, certificates))
    writeFileSync(path.join(root, 'usr/local/etc/npmrc'), `cafile=${certificates}\n`)
  }
  const folder = '/etc/apt/apt.conf.d'
  for (const name of existsSync(folder) ? readdirSync(folder) : []) {
    const file = path.join(folder, name)
    if (/^\s*Acquire::(http|https|Check|Retries)/m.test(readFileSync(file, 'utf8'))) copyFileSync(file, path.join(root, file))
  }
}
