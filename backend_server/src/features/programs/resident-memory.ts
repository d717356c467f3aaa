import { readdir, readFile } from 'node:fs/promises'

/** Resident bytes by process, of each of them with all its descendants. Read from /proc; empty where there is none. */
export async function residentMemory(): Promise<Map<number, number>> {
  const names = await readdir('/proc').catch(() => [])
  const found = await Promise.all(names.filter((name) => /^\d+$/.test(name)).map(readProcess))
  const total = new Map<number, number>()
  const parents = new Map(found.filter((one) => one !== undefined).map((one) => [one.pid, one.parent]))
  for (const one of found) {
    if (!one) continue
    // Every ancestor counts it; the walk is short, and a process that vanished meanwhile ends it.
    for (let pid: number | undefined = one.pid; pid !== undefined && pid > 1; pid = parents.get(pid))
      total.set(pid, (total.get(pid) ?? 0) + one.bytes)
  }
  return total
}

async function readProcess(name: string): Promise<{ pid: number; parent: number; bytes: number } | undefined> {
  const text = await readFile(`/proc/${name}/status`, 'utf8').catch(() => '')
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(text)?.[1]
  const parent = /^PPid:\s+(\d+)$/m.exec(text)?.[1]
  if (kilobytes === undefined || parent === undefined) return undefined
  return { pid: Number(name), parent: Number(parent), bytes: Number(kilobytes) * 1024 }
}
