import { paint } from '../terminal.ts'

const refreshMs = 500
const clearLine = '\r\u001B[2K'

/** Lines that stay, and below them one line that shows the present. Only a terminal has the latter: a pipe or a file gets the lines. */
export interface LiveLine {
  line(text: string): void
  /** What the last line shows; asked again each half second, so that a duration runs. */
  present(text: (() => string) | undefined): void
  close(): void
}

export function createLiveLine(stream: NodeJS.WriteStream): LiveLine {
  if (!stream.isTTY) return { line: (text) => void stream.write(`${text}\n`), present: () => undefined, close: () => undefined }
  let now: (() => string) | undefined
  let isDrawn = false
  const timer = setInterval(draw, refreshMs)
  timer.unref()

  function draw(): void {
    if (!now) return
    // Cut before it is painted: a line that wraps could not be cleared.
    const text = now().slice(0, Math.max(10, (stream.columns || 80) - 1))
    stream.write(`${clearLine}${paint('dim', text, stream)}`)
    isDrawn = true
  }
  function erase(): void {
    if (isDrawn) stream.write(clearLine)
    isDrawn = false
  }
  return {
    line(text) {
      erase()
      stream.write(`${text}\n`)
      draw()
    },
    present(text) {
      now = text
      if (now) draw()
      else erase()
    },
    close() {
      now = undefined
      erase()
      clearInterval(timer)
    },
  }
}
