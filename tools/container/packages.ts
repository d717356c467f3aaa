// Debian packages that the container tests run on.
import type { SystemProgram } from '../system-packages.ts'

const without = 'containers cannot be started here, and their tests are skipped'
const withoutImage = 'the image cannot be built here, and the tests run on the programs of this machine'

export const containerPrograms: SystemProgram[] = [
  { commands: ['supervisord'], debian: ['supervisor'], without },
  { commands: ['nginx'], debian: ['nginx-light'], without },
  { commands: ['curl'], debian: ['curl', 'ca-certificates'], without },
  { commands: ['ip'], debian: ['iproute2'], without },
  { commands: ['ps'], debian: ['procps'], without },
  { commands: ['nsenter'], debian: ['util-linux'], without },
  { commands: ['python3'], debian: ['python3'], without },
  { commands: ['/usr/lib/libnss_extrausers.so.2'], debian: ['libnss-extrausers'], without },
]

export const imagePrograms: SystemProgram[] = [
  { commands: ['buildah'], debian: ['buildah'], without: withoutImage },
  { commands: ['debootstrap'], debian: ['debootstrap'], without: withoutImage },
]
