import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile, rm, statfs, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import type { Config } from '../config.ts'
import { type Finding, fail, ok, warn } from './finding.ts'

export async function examineMachine(config: Config): Promise<Finding[]> {
  return [
    await examineFolder('data folder', config.dataDir, 'DATA_DIR'),
    await examineFolder('backup folder', config.backupDir, 'BACKUP_DIR'),
    await examineDisk(config.dataDir),
    await examineMemory(),
  ]
}

async function examineFolder(name: string, folder: string, setting: string): Promise<Finding> {
  // One that is not there yet is made by the server; then its nearest parent counts.
  let place = folder
  while (!existsSync(place) && place !== path.dirname(place)) place = path.dirname(place)
  const probe = path.join(place, `.vpt-doctor-${randomUUID()}`)
  try {
    await writeFile(probe, 'x', { flag: 'wx', mode: 0o600 })
    return ok(name, place === folder ? `${folder} can be written` : `${folder} will be made at the first start`)
  } catch (error) {
    const reason = error instanceof Error ? error.message.split(',')[0] : 'unknown'
    return fail(
      name,
      `${folder} cannot be written (${reason})`,
      `Give it to the user of the server (chown), or set ${setting} to another folder.`,
    )
  } finally {
    await rm(probe, { force: true }).catch(() => undefined)
  }
}

const gigabyte = 1024 ** 3
const showGigabytes = (bytes: number): string => `${(bytes / gigabyte).toFixed(1)} GB`

async function examineDisk(folder: string): Promise<Finding> {
  let place = folder
  while (!existsSync(place) && place !== path.dirname(place)) place = path.dirname(place)
  const disk = await statfs(place)
  const free = disk.bavail * disk.bsize
  const text = `${showGigabytes(free)} of ${showGigabytes(disk.blocks * disk.bsize)} free at ${place}`
  const cure = 'Delete what is not needed (old backups, artifacts), or move DATA_DIR to a larger disk.'
  if (free < 0.2 * gigabyte) return fail('disk', text, cure)
  return free < 2 * gigabyte ? warn('disk', text, cure) : ok('disk', text)
}

async function examineMemory(): Promise<Finding> {
  const { free, total } = await readMemory()
  const text = `${showGigabytes(free)} of ${showGigabytes(total)} available`
  const cure = 'The server needs about 100 MB, with its database and Grafana about 400 MB: stop other programs, or give it more.'
  if (free < 0.1 * gigabyte) return fail('memory', text, cure)
  return free < 0.3 * gigabyte ? warn('memory', text, cure) : ok('memory', text)
}

/** The limit of a container counts where it is lower than the machine. */
async function readMemory(): Promise<{ free: number; total: number }> {
  const info = await readFile('/proc/meminfo', 'utf8').catch(() => '')
  const available = Number(/^MemAvailable:\s+(\d+) kB/m.exec(info)?.[1] ?? os.freemem() / 1024) * 1024
  const [limit, used] = await Promise.all([
    readNumber(['/sys/fs/cgroup/memory.max', '/sys/fs/cgroup/memory/memory.limit_in_bytes']),
    readNumber(['/sys/fs/cgroup/memory.current', '/sys/fs/cgroup/memory/memory.usage_in_bytes']),
  ])
  const total = os.totalmem()
  if (limit === undefined || used === undefined || limit >= total) return { free: available, total }
  return { free: Math.min(available, limit - used), total: limit }
}

async function readNumber(files: readonly string[]): Promise<number | undefined> {
  for (const file of files) {
    const text = (await readFile(file, 'utf8').catch(() => '')).trim()
    if (/^\d+$/.test(text)) return Number(text)
  }
  return undefined
}
