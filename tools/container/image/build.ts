// Builds the image of the Dockerfile. The work folder keeps the base image and what was downloaded; a run without it is slower
// and otherwise the same.
import { mkdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import { repositoryRoot } from '../../files.ts'
import { makeBase } from './base.ts'
import { buildah } from './buildah.ts'

const imageName = 'localhost/virtualpytest-backend-server'

export interface Build {
  /** Root folder of the image. */
  root: string
  end: (keep: boolean) => void
}

export function buildImage(say: (line: string) => void): Build {
  const work = path.resolve(process.env.VPT_IMAGE_WORK ?? '/var/tmp/virtualpytest-image')
  mkdirSync(work, { recursive: true, mode: 0o700 })
  const seconds = (from: number): string => `${((performance.now() - from) / 1000).toFixed(0)} s`
  const from = performance.now()
  const base = baseOf(work, say)
  say(`base image   ${base}, ${seconds(from)}`)
  const started = performance.now()
  const args = ['--build-arg', `BASE=${base}`, '--build-arg', 'GRAFANA_VERSION=none', '-f', 'backend_server/Dockerfile']
  const caches = Object.entries({ apt: '/var/cache/apt/archives', npm: '/root/.npm' }).flatMap(([name, target]) => {
    const folder = path.join(work, name)
    mkdirSync(path.join(folder, 'partial'), { recursive: true })
    return ['--volume', `${folder}:${target}:rw`]
  })
  buildah(work, 'build', '--isolation', 'chroot', '--format', 'docker', ...caches, ...args, '--tag', imageName, repositoryRoot)
  const { size } = (JSON.parse(buildah(work, 'images', '--json', imageName)) as { size: string }[])[0] ?? { size: 'unknown' }
  say(`image built  ${size}, ${seconds(started)}`)
  const container = buildah(work, 'from', imageName).trim()
  const root = buildah(work, 'mount', container).trim()
  return {
    root,
    end(keep) {
      if (keep) return say(`kept         ${root}`)
      buildah(work, 'rm', container)
      buildah(work, 'rmi', imageName)
    },
  }
}

/** No base image can be had: a lack of this machine or its network, not a fault of the Dockerfile. */
export class NoBase extends Error {}

/** A kept folder that cannot be used any more, as after a full disk, is not repaired but made again. */
function baseOf(work: string, say: (line: string) => void): string {
  try {
    return makeBase(work)
  } catch (error) {
    say(`once more    ${error instanceof Error ? error.message : String(error)}`)
    for (const name of ['storage', 'run', 'base']) rmSync(path.join(work, name), { recursive: true, force: true })
  }
  try {
    return makeBase(work)
  } catch (error) {
    throw new NoBase(error instanceof Error ? error.message : String(error))
  }
}
