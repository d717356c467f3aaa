// A base image for machines that have no engine and no image registry: Debian by debootstrap, and the Node of this checkout,
// which comes from the npm registry. It stands for node:VERSION-bookworm-slim.
import { copyFileSync, cpSync, existsSync, mkdirSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { buildah, run } from './buildah.ts'

export const baseName = 'localhost/virtualpytest-base'

export function makeBase(work: string): void {
  if (buildah(work, 'images', '--quiet', '--filter', `reference=${baseName}`).trim() !== '') return
  const root = path.join(work, 'base')
  rmSync(root, { recursive: true, force: true })
  run('debootstrap', ['--variant=minbase', 'bookworm', root])
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
  buildah(work, 'commit', '--quiet', '--rm', container, baseName)
  rmSync(root, { recursive: true, force: true })
}

/** Networks with a proxy of their own have certificates and apt settings for it. */
function trustWhatThisMachineTrusts(root: string): void {
  const certificates = '/etc/ssl/certs/ca-certificates.crt'
  if (existsSync(certificates)) {
    mkdirSync(path.join(root, 'etc/ssl/certs'), { recursive: true })
    copyFileSync(certificates, path.join(root, certificates))
    writeFileSync(path.join(root, 'usr/local/etc/npmrc'), `cafile=${certificates}\n`)
  }
  const settings = '/etc/apt/apt.conf.d/99artifact-registry'
  if (existsSync(settings)) copyFileSync(settings, path.join(root, settings))
}
