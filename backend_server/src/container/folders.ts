import { accessSync, chmodSync, constants, lchownSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs'
import path from 'node:path'

/** A user of this system; undefined where the container does not run as root and everything belongs to one user anyway. */
export type Owner = { uid: number; gid: number } | undefined

export class FolderError extends Error {}

export function findOwner(name: string, isRoot: boolean): Owner {
  if (!isRoot) return undefined
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((one) => one.startsWith(`${name}:`))
  const [, , uid, gid] = line?.split(':') ?? []
  if (uid === undefined || gid === undefined) throw new FolderError(`The user ${name} does not exist in this image.`)
  return { uid: Number(uid), gid: Number(gid) }
}

/**
 * A folder of this mode and owner, whatever was there: volumes come empty, from an earlier container, or from one that ran as
 * another user. Files below change hands only when the folder itself does; those in `except` are another container's.
 */
export function ensureFolder(folder: string, owner: Owner, mode: number, except: string[] = []): void {
  try {
    mkdirSync(folder, { recursive: true, mode })
    if (owner) giveTree(folder, owner, except)
    if (owner || statSync(folder).uid === process.getuid?.()) chmodSync(folder, mode)
    accessSync(folder, constants.W_OK | constants.X_OK)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
    const reason =
      code === 'EROFS' ? 'is on a read-only file system: mount a volume or a tmpfs there' : `cannot be used (${code})`
    throw new FolderError(`The folder ${folder} ${reason}. This container runs as user ${process.getuid?.()}.`)
  }
}

/** Everything in it, for files that were just written for another user. */
export function giveAll(folder: string, owner: Owner): void {
  if (!owner) return
  lchownSync(folder, owner.uid, owner.gid)
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true }))
    lchownSync(path.join(entry.parentPath, entry.name), owner.uid, owner.gid)
}

function giveTree(folder: string, owner: NonNullable<Owner>, except: string[] = []): void {
  if (statSync(folder).uid === owner.uid) return
  lchownSync(folder, owner.uid, owner.gid)
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const full = path.join(folder, entry.name)
    if (except.includes(entry.name)) continue
    if (entry.isDirectory()) giveTree(full, owner)
    else lchownSync(full, owner.uid, owner.gid)
  }
}
