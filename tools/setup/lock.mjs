// A lock file for the time of an installation. It holds the identity of its owner, so that the lock of a
// run that was killed is recognized at once and not only after a time limit.
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const waitMs = 15 * 60_000

/**
 * Process ids are used again, in containers within seconds; together with its start time an id is unique.
 * @param {number} pid
 */
function identity(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return `${pid} ${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]}`
  } catch {
    // No /proc on this system, or no such process.
    try {
      process.kill(pid, 0)
      return `${pid}`
    } catch (error) {
      return error.code === 'EPERM' ? `${pid}` : 'gone'
    }
  }
}

function read(file) {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}

const isAlive = (owner) => identity(Number.parseInt(owner, 10)) === owner

/** Takes the lock or returns its living owner. Linking a finished file is atomic and never shows half an owner. */
function tryLock(file, mine) {
  const own = `${file}.${process.pid}`
  writeFileSync(own, mine)
  try {
    linkSync(own, file)
    return undefined
  } catch (error) {
    if (error.code !== 'EEXIST') throw error
    const owner = read(file)
    if (owner === undefined) return 'gone'
    if (isAlive(owner)) return owner
    const aside = `${file}.dead.${process.pid}`
    try {
      renameSync(file, aside)
    } catch {
      return 'gone' // somebody else has put it aside
    }
    // Between reading and renaming a living run may have taken the lock: then it gets it back.
    const taken = read(aside)
    if (taken !== undefined && taken !== owner && isAlive(taken)) renameSync(aside, file)
    else rmSync(aside, { force: true })
    return 'gone'
  } finally {
    rmSync(own, { force: true })
  }
}

/**
 * @param {string} file
 * @param {(line: string) => void} say
 * @param {() => Promise<void>} work
 */
export async function withLock(file, say, work) {
  mkdirSync(dirname(file), { recursive: true })
  const mine = identity(process.pid)
  const deadline = Date.now() + waitMs
  let told = false
  for (;;) {
    const owner = tryLock(file, mine)
    if (owner === undefined) break
    if (Date.now() > deadline) throw new Error(`Another setup (process ${owner}) has held ${file} for too long.`)
    if (owner === 'gone') continue
    if (!told) say(`Another setup of this checkout is running (process ${Number.parseInt(owner, 10)}); waiting for it ...`)
    told = true
    await sleep(200)
  }
  try {
    await work()
  } finally {
    if (read(file) === mine) rmSync(file, { force: true })
  }
}
