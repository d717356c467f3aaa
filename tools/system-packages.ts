// Programs of the operating system that parts of the product use when they are there.
import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'

export interface SystemProgram {
  /** Any of these in PATH will do; what begins with a slash is a file that must be there. */
  commands: string[]
  debian: string[]
  /** What a person misses without it. */
  without: string
}

export const systemPrograms: SystemProgram[] = [
  {
    commands: ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'],
    debian: ['chromium', 'fonts-liberation'],
    without: 'there is no browser device, and the tests on a browser are skipped',
  },
  {
    commands: ['prometheus'],
    debian: ['prometheus'],
    without: 'the test of the proxy with a foreign program is skipped',
  },
  {
    commands: ['tesseract'],
    debian: ['tesseract-ocr', 'tesseract-ocr-eng'],
    without: 'checks of text are not offered, and their tests are skipped',
  },
  {
    commands: ['ffmpeg'],
    debian: ['ffmpeg'],
    without: 'there is no live stream as HLS, and its tests are skipped',
  },
  { commands: ['python3'], debian: ['python3'], without: 'scripts in Python do not run, and their tests are skipped' },
]

const isProgram = (file: string) => {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

export function missingPrograms(wanted: SystemProgram[] = systemPrograms, path = process.env.PATH ?? ''): SystemProgram[] {
  const folders = path.split(delimiter).filter(Boolean)
  const isThere = (name: string) =>
    name.startsWith('/') ? existsSync(name) : folders.some((folder) => isProgram(join(folder, name)))
  return wanted.filter(({ commands }) => !commands.some(isThere))
}

const canInstall = () => process.getuid?.() === 0 && existsSync('/etc/debian_version')

function apt(...args: string[]) {
  const options = ['-y', '-qq', '-o', 'DPkg::Lock::Timeout=300', '-o', 'Acquire::Retries=3']
  // RUNLEVEL: nothing that is installed may start itself, such as nginx on port 80.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
  return spawnSync('apt-get', [...args, ...options], { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

/** Installs what is missing where that is possible, and says what stays missing. Returns false when an installation failed. */
export function installMissingPrograms(say: (line: string) => void, wanted: SystemProgram[] = systemPrograms): boolean {
  const missing = missingPrograms(wanted)
  if (missing.length === 0) return true
  if (!canInstall()) {
    sayMissing(missing, say)
    return true
  }
  const packages = missing.flatMap(({ debian }) => debian)
  say(`Installing Debian packages: ${packages.join(', ')} ...`)
  // The lists of a fresh machine are empty or old, so the first attempt may fail without anything being wrong.
  let run = apt('install', '--no-install-recommends', ...packages)
  if (run.status !== 0) {
    apt('update')
    run = apt('install', '--no-install-recommends', ...packages)
  }
  if (run.status === 0) return true
  say(`${run.stdout}${run.stderr}`.trim().split('\n').slice(-15).join('\n'))
  sayMissing(missingPrograms(wanted), say)
  return false
}

export function sayMissing(missing: SystemProgram[], say: (line: string) => void) {
  for (const { commands, debian, without } of missing) {
    say(`Not installed: ${commands[0]}. Without it ${without}. On Debian: apt-get install ${debian.join(' ')}`)
  }
}

if (import.meta.main) {
  const say = (line: string) => console.error(line)
  if (!process.argv.includes('--install')) sayMissing(missingPrograms(), say)
  else if (!installMissingPrograms(say)) process.exitCode = 1
}
