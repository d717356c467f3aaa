import type { Clock, Element, Screenshot } from '../driver.ts'
import type { AdbAddress, AdbConnection, ShellResult } from './adb-connection.ts'
import type { AdbKey } from './adb-key.ts'
import { quoted } from './shell-text.ts'
import { parseUiDump } from './ui-dump.ts'

export type RunOptions = { timeoutMs?: number; mostBytes?: number; isBinary?: boolean }

/**
 * The device as the commands see it. It is connected at the first use and, after it dropped, again by the next one;
 * while it is away, each use says so. Nothing is tried in the background.
 */
export type AndroidDevice = {
  clock: Clock
  connect(signal: AbortSignal): Promise<void>
  /** One line in the shell of the device; throws when the device is away or did not finish in time. */
  run(line: string, signal: AbortSignal, options?: RunOptions): Promise<ShellResult>
  screenshot(signal: AbortSignal): Promise<Screenshot>
  elements(signal: AbortSignal): Promise<Element[]>
  /** The element with this id of the last listing. */
  listed(id: string): Element | null
  /** Width and height of the screen as it is turned now. */
  size(signal: AbortSignal): Promise<{ width: number; height: number }>
  close(): Promise<void>
}

const pictureMs = 14_000
const dumpMs = 20_000
const mostTextBytes = 8 * 1024 * 1024
const mostPictureBytes = 64 * 1024 * 1024
const pngStart = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
/** Where the listing of the screen is written on the device: the one folder that its shell may always use. */
const dumpFile = '/data/local/tmp/vpt-screen.xml'
const dumpTries = 3

export interface AndroidDeviceOptions {
  clock: Clock
  address: AdbAddress
  key: AdbKey
  /** The longest time for one command that names none, and for the person who is asked by the device. */
  limits?: { commandMs?: number; allowMs?: number }
}

export function createAndroidDevice({ clock, address, key, limits = {} }: AndroidDeviceOptions): AndroidDevice {
  const { commandMs = 15_000, allowMs = 18_000 } = limits
  let current: AdbConnection | null = null
  let connecting: { done: Promise<AdbConnection>; stop: AbortController } | null = null
  let listing: readonly Element[] = []
  let dumping: Promise<unknown> = Promise.resolve()

  /** The protocol is loaded by the first device that is used: most hosts have none, and it takes a tenth of a second. */
  async function open(stopped: AbortSignal): Promise<AdbConnection> {
    const { openAdbConnection } = await import('./adb-connection.ts')
    stopped.throwIfAborted()
    return openAdbConnection({ address, key, allowMs }, stopped)
  }

  /** Shared by all who wait for it, so it goes on when one of them gives up. */
  function connection(signal: AbortSignal): Promise<AdbConnection> {
    if (current?.isOpen()) return Promise.resolve(current)
    if (!connecting) {
      const stop = new AbortController()
      const done = open(stop.signal).then(
        (opened) => {
          current = opened
          connecting = null
          return opened
        },
        (error: unknown) => {
          connecting = null
          throw error
        },
      )
      connecting = { done, stop }
    }
    return abortable(connecting.done, signal)
  }

  async function run(line: string, signal: AbortSignal, given: RunOptions = {}): Promise<ShellResult> {
    const { timeoutMs = commandMs, mostBytes = mostTextBytes, isBinary = false } = given
    signal.throwIfAborted()
    const opened = await connection(signal)
    return opened.run(line, { timeoutMs, mostBytes, isBinary, signal })
  }

  async function screenshot(signal: AbortSignal): Promise<Screenshot> {
    const options = { timeoutMs: pictureMs, mostBytes: mostPictureBytes, isBinary: true }
    const { stdout, stderr } = await run('screencap -p', signal, options)
    // Devices with several screens put a warning before the picture.
    const start = stdout.subarray(0, 4096).indexOf(pngStart)
    if (start === -1 || stdout.length < start + 24) {
      throw new Error(`The device gave no picture${stderr === '' ? '' : `: ${firstLine(stderr)}`}`)
    }
    const data = stdout.subarray(start)
    return { data, contentType: 'image/png', width: data.readUInt32BE(16), height: data.readUInt32BE(20) }
  }

  /** The file is removed first: an old listing must never be taken for a new one. */
  async function dump(signal: AbortSignal): Promise<Element[]> {
    const line = `rm -f ${quoted(dumpFile)}; uiautomator dump ${quoted(dumpFile)} 1>&2; cat ${quoted(dumpFile)}`
    for (let tried = 1; ; tried += 1) {
      const { stdout, stderr } = await run(line, signal, { timeoutMs: dumpMs })
      const xml = stdout.toString('utf8')
      const start = xml.indexOf('<hierarchy')
      if (start !== -1) {
        const elements = parseUiDump(xml.slice(start))
        listing = elements
        return elements
      }
      if (tried >= dumpTries) throw new Error(`The device could not list its screen: ${dumpProblem(`${stderr}\n${xml}`)}`)
      await clock.sleep(300, signal)
    }
  }

  return {
    clock,
    async connect(signal) {
      await connection(signal)
    },
    run,
    screenshot,
    elements(signal) {
      // The device can make one listing at a time.
      const next = dumping.then(() => dump(signal))
      dumping = next.catch(() => undefined)
      return abortable(next, signal)
    },
    listed: (id) => listing.find((element) => element.id === id) ?? null,
    async size(signal) {
      const line = 'dumpsys window displays | grep -m1 -o "cur=[0-9]*x[0-9]*"; wm size'
      const text = (await run(line, signal)).stdout.toString('utf8')
      const found = /cur=(\d+)x(\d+)/.exec(text) ?? /Override size: (\d+)x(\d+)/.exec(text) ?? /size: (\d+)x(\d+)/.exec(text)
      if (!found) throw new Error('The device does not say how large its screen is')
      return { width: Number(found[1]), height: Number(found[2]) }
    },
    async close() {
      connecting?.stop.abort(new Error('The device was closed'))
      await connecting?.done.catch(() => undefined)
      const opened = current
      current = null
      listing = []
      await opened?.close()
    },
  }
}

export const firstLine = (text: string): string => (text.trim().split('\n')[0] ?? '').trim().slice(0, 300)

function dumpProblem(text: string): string {
  if (/idle state/i.test(text)) return 'it never stands still (a video, an animation)'
  const told = text.split('\n').find((line) => /error|exception|killed|not found|denied/i.test(line))
  return told ? firstLine(told) : 'it wrote none'
}

function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error)
    signal.addEventListener('abort', onAbort, { once: true })
    if (signal.aborted) onAbort()
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
