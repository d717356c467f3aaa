import type { Adb } from '@yume-chan/adb'

export interface ShellResult {
  stdout: Buffer
  stderr: string
  /** Null where the device does not tell it. */
  exitCode: number | null
}

export interface Limits {
  timeoutMs: number
  signal: AbortSignal
  /** More output than this is thrown away and an error: the device must not fill our memory. */
  mostBytes: number
  /** The output is a file, not a text. */
  isBinary?: boolean
}

type Output = AsyncIterable<Uint8Array>
type Running = { read: Promise<ShellResult>; kill: () => void }

/**
 * Runs one line in the shell of the device, until it ends, takes too long, says too much, the caller gives up, or the
 * connection is lost: in each case once, and with a sentence that says which.
 */
export async function runLine(adb: Adb, line: string, limits: Limits, lost: AbortSignal): Promise<ShellResult> {
  const { timeoutMs, signal } = limits
  const over = Promise.withResolvers<never>()
  over.promise.catch(() => undefined)
  const timer = setTimeout(() => over.reject(new Error(`The device did not finish within ${timeoutMs / 1000} s`)), timeoutMs)
  const onAbort = (): void => over.reject(signal.reason as Error)
  const onLost = (): void => over.reject(lost.reason as Error)
  signal.addEventListener('abort', onAbort, { once: true })
  lost.addEventListener('abort', onLost, { once: true })
  if (lost.aborted) onLost()
  if (signal.aborted) onAbort()

  let isOver = false
  const starting = (adb.subprocess.shellProtocol ? startWithExitCode : startWithout)(adb, line, limits)
  const done = starting.then((running) => {
    // It may have been given up before the device had begun.
    if (isOver) running.kill()
    return running.read
  })
  done.catch(() => undefined)
  try {
    return await Promise.race([done, over.promise])
  } catch (error) {
    isOver = true
    starting.then((running) => running.kill()).catch(() => undefined)
    throw error
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', onAbort)
    lost.removeEventListener('abort', onLost)
  }
}

/** Android 7 and newer: output, errors and exit code apart. */
async function startWithExitCode(adb: Adb, line: string, limits: Limits): Promise<Running> {
  const protocol = adb.subprocess.shellProtocol
  if (!protocol) throw new Error('The device has no such shell')
  const process = await protocol.spawn([line])
  process.exited.catch(() => undefined)
  const read = async (): Promise<ShellResult> => {
    const [stdout, stderr] = await Promise.all([
      collect(process.stdout as Output, limits.mostBytes),
      collect(process.stderr as Output, limits.mostBytes),
    ])
    return { stdout, stderr: stderr.toString('utf8').trim(), exitCode: await process.exited }
  }
  return { read: read(), kill: () => void Promise.resolve(process.kill()).catch(() => undefined) }
}

/** Older ones give one stream; the exit code of what is a text comes as its last line. */
async function startWithout(adb: Adb, line: string, limits: Limits): Promise<Running> {
  const isText = !limits.isBinary
  const process = await adb.subprocess.noneProtocol.spawn([isText ? `${line}\necho "${exitMark}$?"` : line])
  const read = async (): Promise<ShellResult> => {
    const stdout = await collect(process.output as Output, limits.mostBytes)
    if (!isText) return { stdout, stderr: '', exitCode: null }
    const text = stdout.toString('utf8')
    const end = text.lastIndexOf(exitMark)
    const exitCode = end === -1 ? null : Number.parseInt(text.slice(end + exitMark.length), 10)
    return { stdout: end === -1 ? stdout : Buffer.from(text.slice(0, end)), stderr: '', exitCode }
  }
  return { read: read(), kill: () => void Promise.resolve(process.kill()).catch(() => undefined) }
}

const exitMark = 'vpt-exit-code:'

/** Reads to the end also what is too much: a stream that nobody reads would stop all others of the connection. */
async function collect(output: Output, mostBytes: number): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of output) {
    size += chunk.length
    if (size <= mostBytes) chunks.push(chunk)
    else chunks.length = 0
  }
  if (size > mostBytes) throw new Error(`The device sent more than ${mostBytes} bytes`)
  return Buffer.concat(chunks)
}
