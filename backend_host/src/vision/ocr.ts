import { execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { type Area, insideOf } from './picture.ts'

/** A line of text as Tesseract read it, in the pixels of the whole picture. */
export type TextLine = { text: string; confidence: number; bounds: { left: number; top: number; right: number; bottom: number } }
export type Reading = { lines: TextLine[]; text: string; confidence: number; language: string }
/**
 * `local` compares each place with its neighborhood and finds letters on colored tiles; `inverse` does so for letters of
 * the other brightness, as on buttons; `global` compares with the whole picture and finds large and framed ones. None
 * finds all, so a text counts as absent only after all of them.
 */
export const readingWays = ['local', 'inverse', 'global'] as const
type ReadingWay = (typeof readingWays)[number]
export type ReadOptions = { area?: Area | null; language?: string | null; way?: ReadingWay }

export interface Ocr {
  readonly languages: readonly string[]
  read(picture: Buffer, options: ReadOptions, signal: AbortSignal): Promise<Reading>
}

const readTimeoutMs = 60_000
/** Letters of a screen are small for Tesseract, which expects a scan of paper: capital letters of about 30 pixels. */
const enlargeBelowPixels = 1_000_000
const singleLinePixels = 70
const keptReadings = 32
/** Words below this are mostly ornaments that look like letters. */
const leastConfidence = 30

/**
 * Tesseract as a program: a crash or a hang of it ends one check and not the agent, and on a small machine it needs a
 * third of the time and memory of its WebAssembly form. Null where it is not installed.
 */
export async function openOcr(program = 'tesseract'): Promise<Ocr | null> {
  const listed = await new Promise<string | null>((resolve) => {
    execFile(program, ['--list-langs'], { timeout: 10_000 }, (error, out, err) => resolve(error ? null : `${out}${err}`))
  })
  if (listed === null) return null
  const languages = listed.split(/\s+/).filter((word) => /^[a-z]{3}(_[A-Za-z]+)?$/.test(word) && word !== 'osd')
  const fallback = languages.includes('eng') ? 'eng' : languages[0]
  if (fallback === undefined) return null
  const known = new Map<string, Reading>()

  async function readAnew(picture: Buffer, area: Area | null, chosen: string, way: ReadingWay, signal: AbortSignal) {
    const { image, scale, left, top, mode } = await prepare(picture, area, way)
    const table = await recognize(program, image, [...waysToRead[way], '-l', chosen, '--psm', String(mode)], signal)
    const lines = parseTable(table, scale, left, top)
    const letters = lines.reduce((sum, line) => sum + line.text.length, 0)
    const weighted = lines.reduce((sum, line) => sum + line.confidence * line.text.length, 0)
    const text = lines.map((line) => line.text).join('\n')
    return { lines, text, confidence: letters === 0 ? 0 : Math.round((weighted / letters) * 10) / 10, language: chosen }
  }

  return {
    languages,
    async read(picture, { area = null, language, way = 'local' }, signal) {
      const chosen = language || fallback
      const unknown = chosen.split('+').find((one) => !languages.includes(one))
      if (unknown !== undefined) throw new Error(`Language ${unknown} is not installed (known: ${languages.join(', ')})`)
      // Whoever waits for a text looks again and again, mostly at a screen that has not changed.
      const key = createHash('sha1')
        .update(picture)
        .update(JSON.stringify([area, chosen, way]))
        .digest('hex')
      const before = known.get(key)
      if (before) return before
      const reading = await readAnew(picture, area, chosen, way, signal)
      known.set(key, reading)
      for (const oldest of known.keys()) if (known.size > keptReadings) known.delete(oldest)
      return reading
    },
  }
}

async function prepare(picture: Buffer, area: Area | null, way: ReadingWay) {
  const { default: sharp } = await import('sharp')
  const { width, height } = await sharp(picture).metadata()
  const part = area ? insideOf({ width, height }, area) : { x: 0, y: 0, width, height }
  if (!part) throw new Error('The area lies outside of the picture')
  const extract = { left: part.x, top: part.y, width: part.width, height: part.height }
  const isLine = part.height < singleLinePixels
  const scale = isLine ? 3 : part.width * part.height < enlargeBelowPixels / 2 || way === 'global' ? 2 : 1.5
  const gray = sharp(picture).flatten().extract(extract).grayscale()
  const { data, info } = await gray.toBuffer({ resolveWithObject: true })
  const { channels } = await sharp(data).stats()
  const isDark = (channels[0]?.mean ?? 255) < 128
  // Tesseract is trained on dark letters on a light ground.
  const image = sharp(data).resize(Math.round(info.width * scale), Math.round(info.height * scale), { kernel: 'cubic' })
  const bordered = (isDark !== (way === 'inverse') ? image.negate() : image)
    .normalize()
    .extend({ top: 12, bottom: 12, left: 12, right: 12, extendWith: 'copy' })
  const mode = isLine ? 6 : 11
  return {
    image: await bordered.png({ compressionLevel: 1 }).toBuffer(),
    scale,
    left: part.x - 12 / scale,
    top: part.y - 12 / scale,
    mode,
  }
}

/**
 * Sauvola's and Otsu's ways of telling letters from ground. That each line is also tried in inverted colors is turned
 * off where the picture itself is inverted: it takes half of the time.
 */
const localOptions = ['-c', 'thresholding_method=2', '-c', 'tessedit_do_invert=0']
const waysToRead = { local: localOptions, inverse: localOptions, global: ['-c', 'thresholding_method=0'] }

function recognize(program: string, image: Buffer, options: readonly string[], signal: AbortSignal): Promise<string> {
  signal.throwIfAborted()
  return new Promise((resolve, reject) => {
    const child = spawn(program, ['stdin', 'stdout', ...options, '--dpi', '150', 'tsv'], {
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: readTimeoutMs,
      killSignal: 'SIGKILL',
      // Its threads wait for each other by spinning; one thread is faster, and the other cores are for the devices.
      env: { PATH: '/usr/local/bin:/usr/bin:/bin', OMP_THREAD_LIMIT: '1' },
    })
    const out: Buffer[] = []
    let complaints = ''
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => (complaints = (complaints + String(chunk)).slice(-500)))
    const stop = (): void => void child.kill('SIGKILL')
    signal.addEventListener('abort', stop, { once: true })
    child.on('error', reject)
    // It may end before it has read everything; its exit code says what was wrong.
    child.stdin.on('error', () => undefined)
    child.on('close', (code, by) => {
      signal.removeEventListener('abort', stop)
      if (signal.aborted) reject(signal.reason as Error)
      else if (code === 0) resolve(Buffer.concat(out).toString('utf8'))
      else reject(new Error(`Tesseract ended with ${code ?? by}: ${complaints.trim().split('\n').at(-1) ?? ''}`))
    })
    child.stdin.end(image)
  })
}

/** Columns: level page block paragraph line word left top width height confidence text. */
function parseTable(table: string, scale: number, left: number, top: number): TextLine[] {
  const lines = new Map<string, { words: string[]; confidences: number[]; box: [number, number, number, number] }>()
  for (const row of table.split('\n').slice(1)) {
    const columns = row.split('\t')
    const text = columns[11]?.trim() ?? ''
    const confidence = Number(columns[10])
    if (columns[0] !== '5' || text === '' || confidence < leastConfidence) continue
    const [x = 0, y = 0, width = 0, height = 0] = columns.slice(6, 10).map(Number)
    const key = columns.slice(1, 5).join('.')
    const line = lines.get(key) ?? { words: [], confidences: [], box: [x, y, x + width, y + height] }
    const [l, t, r, b] = line.box
    line.box = [Math.min(l, x), Math.min(t, y), Math.max(r, x + width), Math.max(b, y + height)]
    line.words.push(text)
    line.confidences.push(confidence)
    lines.set(key, line)
  }
  return [...lines.values()].map(({ words, confidences, box: [l, t, r, b] }) => ({
    text: words.join(' '),
    confidence: Math.round(confidences.reduce((sum, one) => sum + one, 0) / confidences.length),
    bounds: {
      left: Math.max(0, Math.round(l / scale + left)),
      top: Math.max(0, Math.round(t / scale + top)),
      right: Math.round(r / scale + left),
      bottom: Math.round(b / scale + top),
    },
  }))
}

const plain = (text: string): string =>
  text
    .toLowerCase()
    .replace(/[‘’`´]/g, "'")
    .replace(/[“”„]/g, '"')
    .replace(/[–—]/g, '-')
    .replace(/\s+/g, ' ')
    .trim()

/** The line, or lines beside each other, that contain the text; case, kinds of quotes and of space do not count. */
export function findText(reading: Reading, wanted: string): { lines: TextLine[] } | null {
  const looked = plain(wanted)
  if (looked === '') return null
  const line = reading.lines.find((one) => plain(one.text).includes(looked))
  if (line) return { lines: [line] }
  return plain(reading.text).includes(looked) ? { lines: reading.lines } : null
}
