import { randomUUID } from 'node:crypto'
import { linkSync, readFileSync, renameSync, statSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { z } from 'zod'
import { EmbeddedPostgresError } from './embedded-error.ts'
import { identityOf, isAlive } from './process-identity.ts'

/*
 * One server per data folder. The lock is a file that names its owner by process id and start time.
 *
 * - Taking it: the complete file is linked to its name, which only one caller can do.
 * - A dead owner (killed with -9) leaves the file. Whoever wants to replace it first takes the lock
 *   `<file>.<id of the dead owner's lock>`, in the same way, looks again, and renames its own file over the old one. So two
 *   servers that find the same dead owner at the same moment cannot both win, whichever of them is killed in between.
 * - An owner in another container cannot be looked up. It touches the file every two seconds; a file untouched for eight is
 *   abandoned. Only this case costs waiting time.
 */

const Owner = z.object({
  id: z.string(),
  pid: z.int(),
  startTime: z.string().nullable(),
  bootId: z.string().nullable(),
  pidNamespace: z.string().nullable(),
  since: z.string(),
})
type Owner = z.infer<typeof Owner>

export interface OwnerLock {
  release(): void
}

const beatMs = 2000
const abandonedMs = 8000

export async function takeOwnerLock(file: string): Promise<OwnerLock> {
  const own: Owner = { id: randomUUID(), ...identityOf(process.pid), since: new Date().toISOString() }
  await take(file, own)
  const beat = setInterval(() => touch(file, own.id), beatMs)
  beat.unref()
  return {
    release() {
      clearInterval(beat)
      removeIfOwn(file, own.id)
    },
  }
}

async function take(file: string, own: Owner): Promise<void> {
  for (;;) {
    if (createComplete(file, own)) return
    const held = read(file)
    if (!held) continue
    if (await isHeld(file, held)) throw inUse(file, held)
    const breaking = `${file}.${held.id}`
    await take(breaking, own)
    try {
      if (read(file)?.id === held.id) {
        replace(file, own)
        return
      }
    } finally {
      removeIfOwn(breaking, own.id)
    }
  }
}

async function isHeld(file: string, held: Holder): Promise<boolean> {
  const state = held.owner ? isAlive(held.owner) : 'unknown'
  if (state !== 'unknown') return state === 'alive'
  const first = touchedAt(file)
  while (touchedAt(file) === first && first !== undefined) {
    if (Math.abs(Date.now() - first) > abandonedMs) return false
    await pause(200)
  }
  // Touched while we watched: somebody lives. Gone or replaced: look again.
  return read(file)?.id === held.id
}

interface Holder {
  id: string
  /** Missing when the file is damaged, for example by a power cut. */
  owner?: Owner
}

function read(file: string): Holder | undefined {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
  try {
    const owner = Owner.parse(JSON.parse(text))
    return { id: owner.id, owner }
  } catch {
    return { id: 'damaged' }
  }
}

function createComplete(file: string, own: Owner): boolean {
  const draft = writeDraft(file, own)
  try {
    linkSync(draft, file)
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
    throw error
  } finally {
    unlinkSync(draft)
  }
}

function replace(file: string, own: Owner): void {
  renameSync(writeDraft(file, own), file)
}

function writeDraft(file: string, own: Owner): string {
  const draft = `${file}.draft-${randomUUID()}`
  writeFileSync(draft, `${JSON.stringify(own)}\n`, { mode: 0o644 })
  return draft
}

function removeIfOwn(file: string, id: string): void {
  if (read(file)?.id === id) unlinkSync(file)
}

function touch(file: string, id: string): void {
  try {
    if (read(file)?.id === id) utimesSync(file, new Date(), new Date())
  } catch {
    // The folder was removed under a running server; the database itself will say so.
  }
}

function touchedAt(file: string): number | undefined {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs
}

function inUse(file: string, held: Holder): EmbeddedPostgresError {
  const who = held.owner ? `process ${held.owner.pid}, since ${held.owner.since}` : 'a process that cannot be named'
  return new EmbeddedPostgresError(
    'data_folder_in_use',
    `Another server is using the data folder ${path.dirname(file)} (${who}). Stop it, or give this one a folder of its own with DATA_DIR.`,
  )
}
