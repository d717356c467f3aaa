import { readdir, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import { type BackupKind, backupKinds } from '../../db/backup/index.ts'

/*
 * The folder of backups. A name says all that a listing needs: vpt-20261123T175012Z-schema6-daily.backup.gz. A file has such
 * a name only once it was read back completely, so existing means verified; `.partial-` files are what a kill left behind.
 */

export interface StoredBackup {
  file: string
  name: string
  kind: BackupKind
  /** ISO 8601 */
  createdAt: string
  schemaVersion: number
  bytes: number
}

const nameForm = new RegExp(
  `^vpt-(\\d{4})(\\d\\d)(\\d\\d)T(\\d\\d)(\\d\\d)(\\d\\d)Z-schema(\\d+)-(${backupKinds.join('|')})\\.backup\\.gz$`,
)

export function backupName(at: Date, schemaVersion: number, kind: BackupKind): string {
  const stamp = at.toISOString().replace(/[-:]|\.\d+/g, '')
  return `vpt-${stamp}-schema${schemaVersion}-${kind}.backup.gz`
}

/** The newest first. A folder that is not there yet has none. */
export async function listBackups(folder: string): Promise<StoredBackup[]> {
  const found: StoredBackup[] = []
  for (const name of await namesIn(folder)) {
    const parts = nameForm.exec(name)
    if (!parts) continue
    const [year, month, day, hour, minute, second, schemaVersion, kind] = parts.slice(1)
    const file = path.join(folder, name)
    const facts = await stat(file).catch(() => undefined)
    if (!facts?.isFile()) continue
    found.push({
      file,
      name,
      kind: backupKinds.find((one) => one === kind) ?? 'manual',
      createdAt: `${year}-${month}-${day}T${hour}:${minute}:${second}.000Z`,
      schemaVersion: Number(schemaVersion),
      bytes: facts.size,
    })
  }
  return found.sort((a, b) => b.name.localeCompare(a.name))
}

const abandonedMs = 24 * 3_600_000

/** Keeps the newest `keep` of each kind, so that many made by hand do not push out the daily ones. Returns the names removed. */
export async function removeOldBackups(folder: string, keep: number): Promise<string[]> {
  const backups = await listBackups(folder)
  const old = backupKinds.flatMap((kind) => backups.filter((one) => one.kind === kind).slice(keep))
  for (const one of old) await rm(one.file, { force: true })
  for (const name of await namesIn(folder)) {
    if (!name.includes('.partial-')) continue
    const file = path.join(folder, name)
    const facts = await stat(file).catch(() => undefined)
    // A younger one may be under way.
    if (facts && Date.now() - facts.mtimeMs > abandonedMs) await rm(file, { force: true })
  }
  return old.map((one) => one.name)
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw error
  }
}
