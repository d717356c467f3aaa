import { statfs } from 'node:fs/promises'
import os from 'node:os'

export type SystemStats = Record<string, number | string>

interface CpuTimes {
  busy: number
  all: number
}

/**
 * Figures of this machine as registration and beat carry them. The processor's use is that of the time since the last
 * call, so nothing has to run in between.
 */
export function createSystemStats(dataDir: string): () => Promise<SystemStats> {
  let before = readCpu()
  let lastPercent = 0
  return async () => {
    const now = readCpu()
    const all = now.all - before.all
    // Two calls within one tick of the system's counters would divide by nothing.
    if (all > 0) lastPercent = (100 * (now.busy - before.busy)) / all
    before = now
    const disk = await statfs(dataDir).catch(() => undefined)
    const memoryTotal = os.totalmem()
    const [load1 = 0, load5 = 0, load15 = 0] = os.loadavg()
    return {
      cpu_percent: round(lastPercent),
      memory_percent: round((100 * (memoryTotal - os.freemem())) / memoryTotal),
      memory_total_gb: round(memoryTotal / 2 ** 30),
      memory_used_gb: round((memoryTotal - os.freemem()) / 2 ** 30),
      ...(disk && {
        disk_percent: round((100 * (disk.blocks - disk.bavail)) / Math.max(1, disk.blocks)),
        disk_total_gb: round((disk.blocks * disk.bsize) / 2 ** 30),
        disk_used_gb: round(((disk.blocks - disk.bavail) * disk.bsize) / 2 ** 30),
      }),
      load_average_1m: round(load1),
      load_average_5m: round(load5),
      load_average_15m: round(load15),
      uptime_seconds: Math.round(os.uptime()),
      platform: os.type(),
      architecture: os.machine(),
    }
  }
}

function readCpu(): CpuTimes {
  const sums = { busy: 0, all: 0 }
  for (const { times } of os.cpus()) {
    const all = times.user + times.nice + times.sys + times.idle + times.irq
    sums.all += all
    sums.busy += all - times.idle
  }
  return sums
}

const round = (value: number): number => Math.round(value * 100) / 100
