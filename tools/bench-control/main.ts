import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { cpus, loadavg, tmpdir } from 'node:os'
import path from 'node:path'
import { createDatabase, startTestCluster } from '../../backend_server/test/test-cluster.ts'
import { freePort, startProgram } from '../bench/programs.ts'
import { directCalls, proxiedCalls, type Series, startFakeHost } from './calls.ts'
import { measureLiveView } from './live/measure.ts'
import { readServerMemory, type ServerMemory } from './server-memory.ts'

const help = `npm run bench:control [-- --links N] [-- --calls N] [-- --live]

What a call to a host costs through the server: over its pinned URL and over its link, against asking the host directly; what
many open links cost one server; how late the live picture of a box and of a page is at a viewer, and what it costs the host
(--live measures that alone). Prints each promise as met or missed.`

if (process.argv.includes('--help')) {
  console.log(help)
  process.exit(0)
}
const option = (name: string, fallback: number): number => {
  const at = process.argv.indexOf(name)
  return at === -1 ? fallback : Number(process.argv[at + 1])
}
const linkCount = option('--links', 500)
const callCount = option('--calls', 2000)
const root = path.resolve(import.meta.dirname, '../..')
const missed: string[] = []

function promise(what: string, value: number, limit: number, unit: string): void {
  const isMet = value <= limit
  if (!isMet) missed.push(what)
  console.log(`${isMet ? 'met   ' : 'MISSED'} ${what}: ${value.toFixed(2)} ${unit} (at most ${limit} ${unit})`)
}

type Links = ReturnType<typeof startLinks>

async function main(): Promise<void> {
  console.log(`${cpus().length} processors, load ${loadavg()[0]?.toFixed(1)}, Node ${process.version}`)
  const cluster = await startTestCluster()
  const dataDir = mkdtempSync(path.join(tmpdir(), 'vpt-bench-'))
  try {
    const databaseUrl = await createDatabase(cluster.adminUrl, 'vpt_bench_control')
    const port = await freePort()
    const env = { DATABASE_URL: databaseUrl, SERVER_PORT: String(port), DATA_DIR: dataDir, LOG_LEVEL: 'warn', AUTH_MODE: 'open' }
    const main = path.join(root, 'backend_server/src/main.ts')
    const command = [process.execPath, '-C', 'source', main]
    const inspectorPort = await freePort()
    const inspected = [process.execPath, '-C', 'source', `--inspect=127.0.0.1:${inspectorPort}`, main]
    const isLiveOnly = process.argv.includes('--live')
    let server = await startProgram(isLiveOnly ? command : inspected, env, port, '/readyz')
    try {
      if (isLiveOnly) return await measureLiveView(server.url, promise)
      const links = startLinks(server.url)
      await measureLinks(links, () => readServerMemory(inspectorPort))
      await server.stop()
      await links.reached(0, 30_000)
      server = await startProgram(command, env, port, '/readyz')
      const startedAt = performance.now()
      await links.reached(linkCount, 60_000)
      promise(`all ${linkCount} links back after a restart`, (performance.now() - startedAt) / 1000, 10, 's')
      links.stop()
      await measureCalls(server.url)
      await measureLiveView(server.url, promise)
    } finally {
      await server.stop()
    }
  } finally {
    await cluster.stop({ keep: false })
    rmSync(dataDir, { recursive: true, force: true })
  }
}

/** By the slope: what registrations and the first links warm up is paid once, not for each link. */
async function measureLinks(links: Links, readMemory: () => Promise<ServerMemory>): Promise<void> {
  const first = Math.round(linkCount / 5)
  const memory: ServerMemory[] = []
  for (const [count, more] of [
    [first, first],
    [linkCount, linkCount - first],
  ] as const) {
    links.more(more)
    await links.reached(count, 120_000)
    await new Promise((resolve) => setTimeout(resolve, 10_000))
    const { heldKb, residentKb } = await readMemory()
    memory.push({ heldKb, residentKb })
    const mb = [heldKb, residentKb].map((kb) => (kb / 1024).toFixed(1))
    console.log(`       server with ${count} links, after a collection: ${mb[0]} MB held, ${mb[1]} MB resident`)
  }
  const [few, all] = memory
  if (!few || !all) return
  const perLink = (part: keyof ServerMemory): number => (all[part] - few[part]) / (linkCount - first)
  promise(`memory that an open link holds, from ${first} to ${linkCount}`, perLink('heldKb'), 100, 'kB')
  promise(`resident memory of the server per open link, from ${first} to ${linkCount}`, perLink('residentKb'), 100, 'kB')
}

async function measureCalls(serverUrl: string): Promise<void> {
  const host = await startFakeHost(serverUrl)
  try {
    // In turns, so that what else happens on the machine falls on all of them alike.
    const all = { direct: [] as Series[], url: [] as Series[], link: [] as Series[] }
    for (let round = 0; round < 4; round += 1) {
      all.direct.push(await directCalls(host.url, callCount / 4))
      all.url.push(await proxiedCalls(serverUrl, 'bench-url', callCount / 4))
      all.link.push(await proxiedCalls(serverUrl, 'bench-link', callCount / 4))
    }
    const [direct, url, link] = [all.direct, all.url, all.link].map((series) => series.flat().sort((a, b) => a - b))
    for (const [name, times] of [
      ['direct', direct],
      ['through the server by URL', url],
      ['through the server by link', link],
    ] as const)
      console.log(`       ${name}: p50 ${at(times, 0.5).toFixed(2)} ms, p99 ${at(times, 0.99).toFixed(2)} ms`)
    promise('added by the server, by URL, p50', at(url, 0.5) - at(direct, 0.5), 2, 'ms')
    promise('added by the server, by URL, p99', at(url, 0.99) - at(direct, 0.99), 10, 'ms')
    promise('added by the server, by link, p50', at(link, 0.5) - at(direct, 0.5), 2, 'ms')
    promise('added by the server, by link, p99', at(link, 0.99) - at(direct, 0.99), 10, 'ms')
  } finally {
    host.stop()
  }
}

const at = (times: readonly number[] | undefined, part: number): number => times?.[Math.floor(times.length * part)] ?? Number.NaN

/** The hosts of many labs, in a process of their own, so that the memory measured is the server's alone. */
function startLinks(serverUrl: string) {
  const program = path.join(import.meta.dirname, 'many-links.ts')
  const child = spawn(process.execPath, ['-C', 'source', program, serverUrl], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let open = 0
  child.stdout.on('data', (chunk: Buffer) => {
    open = Number(chunk.toString().trim().split('\n').at(-1))
  })
  return {
    more: (count: number) => void child.stdin.write(`${count}\n`),
    async reached(count: number, withinMs: number): Promise<void> {
      const deadline = performance.now() + withinMs
      while (open !== count) {
        if (performance.now() > deadline) throw new Error(`${open} of ${count} links are open after ${withinMs} ms`)
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    },
    stop: () => void child.kill('SIGKILL'),
  }
}

await main()
console.log(missed.length === 0 ? 'All promises met.' : `Missed: ${missed.join('; ')}`)
process.exitCode = missed.length === 0 ? 0 : 1
