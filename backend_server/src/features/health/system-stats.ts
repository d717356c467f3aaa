import { readFile, statfs } from 'node:fs/promises'
import os from 'node:os'

/**
 * Figures of this machine, sampled in the background, so that a health call costs nothing. Percentages with one decimal,
 * sizes in GB; names as in the protocol.
 */
export function startSystemStats(options: { serverName: string; dataDir: string; everyMs?: number }) {
  let before = cpuTimes()
  let stats: Record<string, unknown> = {}

  async function sample(): Promise<void> {
    const now = cpuTimes()
    const total = now.total - before.total
    const busy = total > 0 ? 1 - (now.idle - before.idle) / total : 0
    before = now
    const disk = await statfs(options.dataDir).catch(() => undefined)
    const diskTotal = disk ? disk.blocks * disk.bsize : 0
    const diskFree = disk ? disk.bavail * disk.bsize : 0
    const [load1 = 0, load5 = 0, load15 = 0] = os.loadavg()
    const memoryFree = await availableMemory()
    stats = {
      cpu_percent: percent(busy),
      memory_percent: percent(1 - memoryFree / os.totalmem()),
      memory_used_gb: gigabytes(os.totalmem() - memoryFree),
      memory_total_gb: gigabytes(os.totalmem()),
      disk_percent: diskTotal > 0 ? percent(1 - diskFree / diskTotal) : 0,
      disk_used_gb: gigabytes(diskTotal - diskFree),
      disk_total_gb: gigabytes(diskTotal),
      load_average_1m: load1,
      load_average_5m: load5,
      load_average_15m: load15,
      uptime_seconds: Math.round(os.uptime()),
      platform: os.type(),
      architecture: os.machine(),
      disk_write_mb_per_sec: 0,
      server_name: options.serverName,
      process_memory_mb: Math.round(process.memoryUsage.rss() / 1024 / 1024),
      timestamp: new Date().toISOString(),
    }
  }

  const timer = setInterval(() => void sample().catch(() => undefined), options.everyMs ?? 5000)
  timer.unref()
  void sample().catch(() => undefined)
  return { current: () => stats, stop: () => clearInterval(timer) }
}

function cpuTimes(): { idle: number; total: number } {
  let idle = 0
  let total = 0
  for (const { times } of os.cpus()) {
    idle += times.idle
    total += times.idle + times.user + times.sys + times.nice + times.irq
  }
  return { idle, total }
}

/** What programs can still get: `free` alone would count the file cache as used. */
async function availableMemory(): Promise<number> {
  const text = await readFile('/proc/meminfo', 'utf8').catch(() => '')
  const kilobytes = /^MemAvailable:\s+(\d+) kB/m.exec(text)?.[1]
  return kilobytes === undefined ? os.freemem() : Number(kilobytes) * 1024
}

const percent = (share: number): number => Math.round(Math.min(1, Math.max(0, share)) * 1000) / 10
const gigabytes = (bytes: number): number => Math.round((bytes / 1024 ** 3) * 100) / 100
