import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Config } from '../../config.ts'
import { note, paint, plain, say } from '../terminal.ts'
import { showDuration } from '../units.ts'
import type { DemoSettings } from './demo-settings.ts'
import { type LabProgram, startLabProgram } from './lab-program.ts'
import { errorLevel, type LogEntry, shortEntry, warnLevel } from './log-entry.ts'

export interface DemoLabOptions {
  config: Config
  settings: DemoSettings
  /** Called once, when the host has registered. */
  onReady: (lab: { url: string; logFolder: string; startedInMs: number; needsToken: boolean }) => void
}

export interface DemoLab {
  /** Ends with the lab: 0 after an orderly stop. */
  readonly ended: Promise<number>
  /** The first call stops host and server one after the other, the next ends them at once. */
  stop(): void
}

/** Both programs together must have ended after 25 s, which is what a supervisor allows. */
const hostStopMs = 16_000
const serverStopMs = 8_000
const restartPausesMs = [1000, 2000, 5000, 10_000]
const longLifeMs = 60_000
const slowStartMs = 20_000
const repeatedEveryMs = 60_000

/**
 * The demo: a server and a host agent as processes of their own. starting -> ready -> stopping -> ended.
 * The host is started when the server is ready, started again when it dies, and stopped first, while the server can still
 * take its results. When the server dies the demo ends, and says what the server said last.
 */
export function startDemoLab({ config, settings, onReady }: DemoLabOptions): DemoLab {
  const logFolder = path.join(config.dataDir, 'logs')
  mkdirSync(logFolder, { recursive: true })
  const from = performance.now()
  const stopping = new AbortController()
  const show = createEntryScreen(() => stopping.signal.aborted)
  let url: string | undefined
  let needsToken = false
  let host: LabProgram | undefined
  let isReady = false

  const server = startLabProgram({
    name: 'server',
    env: settings.serverEnv,
    logFile: path.join(logFolder, 'server.log'),
    onEntry(entry) {
      show('server', entry)
      if (entry.message === 'listening' && typeof entry.fields.port === 'number') {
        url = `http://127.0.0.1:${entry.fields.port}`
        needsToken = entry.fields.auth_mode === 'required'
      }
      if (entry.message === 'ready')
        keepHostRunning().catch((error: unknown) => note(`The host agent cannot be started: ${String(error)}`))
    },
    onText: (line) => say(line),
  })

  const slow = setTimeout(() => {
    const [waitsFor, file] = host ? ['the host to register', 'host.log'] : ['the server', 'server.log']
    note(paint('yellow', `Still waiting for ${waitsFor}. Its log: ${path.join(logFolder, file)}`, process.stderr))
  }, slowStartMs)

  async function keepHostRunning(): Promise<void> {
    for (let deaths = 0; !stopping.signal.aborted && !server.hasEnded(); ) {
      const startedAt = performance.now()
      host = startLabProgram({
        name: 'host',
        env: settings.hostEnv(url ?? ''),
        logFile: path.join(logFolder, 'host.log'),
        onEntry(entry) {
          show('host', entry)
          if (entry.message === 'registered') announce()
        },
        onText: () => undefined,
      })
      const { how, lastWords } = await host.ended
      if (stopping.signal.aborted || server.hasEnded()) return
      deaths = performance.now() - startedAt > longLifeMs ? 0 : deaths + 1
      const pauseMs = restartPausesMs[Math.min(deaths, restartPausesMs.length) - 1] ?? 1000
      for (const line of lastWords) note(paint('red', `  ${plain(line)}`, process.stderr))
      note(paint('yellow', `The host agent ended (${how}); it is started again in ${showDuration(pauseMs)}.`, process.stderr))
      await sleep(pauseMs, undefined, { signal: stopping.signal }).catch(() => undefined)
    }
  }

  function announce(): void {
    if (isReady) return
    isReady = true
    clearTimeout(slow)
    onReady({ url: url ?? '', logFolder, startedInMs: performance.now() - from, needsToken })
  }

  async function run(): Promise<number> {
    const stopped = new Promise<'stopped'>((resolve) =>
      stopping.signal.addEventListener('abort', () => resolve('stopped'), { once: true }),
    )
    const first = await Promise.race([server.ended, stopped])
    clearTimeout(slow)
    if (first !== 'stopped') {
      stopping.abort()
      await host?.stop(hostStopMs)
      note(paint('red', `The server ended (${first.how}). Its log: ${path.join(logFolder, 'server.log')}`, process.stderr))
      const reasons = [...show.lastErrors(), ...first.lastWords]
      for (const line of reasons) note(paint('red', `  ${plain(line)}`, process.stderr))
      if (reasons.some((line) => line.includes('EADDRINUSE')))
        note('  Another program has this port. Choose another one: SERVER_PORT=10001 (0 takes a free one)')
      return first.status === null || first.status === 0 ? 1 : first.status
    }
    const hostStopped = (await host?.stop(hostStopMs)) ?? true
    const serverStopped = await server.stop(serverStopMs)
    if (hostStopped && serverStopped) return 0
    note(paint('yellow', `The ${hostStopped ? 'server' : 'host agent'} did not stop in time and was killed.`, process.stderr))
    return 1
  }

  return {
    ended: run(),
    stop() {
      if (stopping.signal.aborted) {
        host?.hurry()
        server.hurry()
      }
      stopping.abort()
    },
  }
}

/** Warnings and errors of the programs in one line each; the same one again only once a minute. */
function createEntryScreen(isStopping: () => boolean) {
  const shownAt = new Map<string, number>()
  const fatal: string[] = []

  function show(program: string, entry: LogEntry): void {
    if (entry.level < warnLevel) return
    const text = shortEntry(entry)
    if (entry.level > errorLevel) {
      fatal.push(text)
      return
    }
    const key = `${program} ${entry.message}`
    const now = performance.now()
    if (isStopping() || now - (shownAt.get(key) ?? Number.NEGATIVE_INFINITY) < repeatedEveryMs) return
    shownAt.set(key, now)
    const word = entry.level >= errorLevel ? paint('red', 'error', process.stderr) : paint('yellow', 'warn ', process.stderr)
    note(`${paint('dim', new Date().toTimeString().slice(0, 8), process.stderr)} ${program.padEnd(6)} ${word} ${text}`)
  }
  return Object.assign(show, { lastErrors: () => fatal })
}
