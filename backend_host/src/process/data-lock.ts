import { mkdir, open, rm } from 'node:fs/promises'
import path from 'node:path'
import { readJson } from './durable-file.ts'
import { startTimeOf } from './processes.ts'

export interface DataLock {
  release(): Promise<void>
}

/**
 * Makes this process the only agent on a data folder: a second one would take the running scripts of the first for
 * leftovers and kill them. A lock of a process that is gone (or whose pid means another process now) is taken over.
 */
export async function lockDataFolder(folder: string): Promise<DataLock> {
  await mkdir(folder, { recursive: true })
  const file = path.join(folder, 'agent.lock')
  for (let attempt = 0; attempt < 3; attempt++) {
    try {
      const handle = await open(file, 'wx', 0o600)
      await handle.writeFile(JSON.stringify({ pid: process.pid, start_time: startTimeOf(process.pid) ?? null }))
      await handle.close()
      return { release: () => rm(file, { force: true }) }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    const holder = (await readJson(file)) as { pid?: number; start_time?: number | null } | undefined
    if (holder?.pid !== undefined && holder.pid !== process.pid && isSame(holder.pid, holder.start_time ?? undefined)) {
      throw new DataFolderBusy(folder, holder.pid)
    }
    await rm(file, { force: true })
  }
  throw new DataFolderBusy(folder, undefined)
}

export class DataFolderBusy extends Error {
  constructor(folder: string, pid: number | undefined) {
    super(
      `Another agent${pid === undefined ? '' : ` (process ${pid})`} uses the data folder ${folder}. Give this one another DATA_DIR.`,
    )
    this.name = 'DataFolderBusy'
  }
}

function isSame(pid: number, startTime: number | undefined): boolean {
  const found = startTimeOf(pid)
  if (found !== undefined) return startTime === undefined || found === startTime
  if (startTime !== undefined) return false
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
