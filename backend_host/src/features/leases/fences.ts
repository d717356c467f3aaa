import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { LabError } from '@virtualpytest/shared'
import { z } from 'zod'
import { readJson, writeDurably } from '../../process/durable-file.ts'

const Stored = z.record(z.string(), z.object({ token: z.int().min(0), tasks: z.array(z.string()) }))

export interface Fences {
  /** Throws stale_token when a higher token was seen for the device; a higher one becomes the mark at once. */
  admit(deviceId: string, token: number): void
  isStale(deviceId: string, token: number): boolean
  /** True when this task was taken in under this token and no higher one has been seen. */
  knows(deviceId: string, token: number, taskId: string): boolean
  remember(deviceId: string, taskId: string): void
  forget(deviceId: string, taskId: string): void
  /** Resolves when everything admitted and remembered so far survives a power cut. */
  save(): Promise<void>
}

/**
 * The highest lease token ever seen for each device, on disk. This is the last line against a holder that slept: all
 * ways to a device lead through this agent, so one that knows a newer token can refuse an older one whatever the
 * holder believes. The tasks taken in under the present token make a repeated dispatch harmless, also after a restart;
 * tasks of older tokens need no memory, because they are refused.
 */
export async function openFences(dataDir: string, onRaise: (deviceId: string, token: number) => void): Promise<Fences> {
  const folder = path.join(dataDir, 'state')
  await mkdir(folder, { recursive: true })
  const file = path.join(folder, 'fences.json')
  const stored = Stored.safeParse((await readJson(file)) ?? {})
  // Going on with forgotten marks would let an old holder in: better not to start.
  if (!stored.success) throw new Error(`${file} is damaged. Remove it only when no lease of this host can be held any more.`)
  const marks = new Map(Object.entries(stored.data))
  let writing: Promise<void> = Promise.resolve()
  /** Every change has a number; a save that has nothing new to write waits for no disk. */
  let changes = 0
  let written = 0

  const markOf = (deviceId: string): { token: number; tasks: string[] } => {
    const mark = marks.get(deviceId) ?? { token: 0, tasks: [] }
    marks.set(deviceId, mark)
    return mark
  }
  return {
    admit(deviceId, token) {
      const mark = markOf(deviceId)
      if (token < mark.token) throw new LabError('stale_token')
      if (token === mark.token) return
      mark.token = token
      mark.tasks = []
      changes += 1
      onRaise(deviceId, token)
    },
    isStale: (deviceId, token) => token < (marks.get(deviceId)?.token ?? 0),
    knows(deviceId, token, taskId) {
      const mark = marks.get(deviceId)
      return mark?.token === token && mark.tasks.includes(taskId)
    },
    remember(deviceId, taskId) {
      markOf(deviceId).tasks.push(taskId)
      changes += 1
    },
    forget(deviceId, taskId) {
      const mark = markOf(deviceId)
      mark.tasks = mark.tasks.filter((one) => one !== taskId)
      changes += 1
    },
    save() {
      const write = async (): Promise<void> => {
        if (written === changes) return
        const upTo = changes
        await writeDurably(file, JSON.stringify(Object.fromEntries(marks)))
        written = upTo
      }
      const done = writing.then(write)
      writing = done.catch(() => undefined)
      return done
    },
  }
}
