import type { CommandSpec } from '../../drivers/driver.ts'
import { defineCommand } from '../../drivers/driver.ts'
import { guessLanguage } from '../../vision/guess-language.ts'
import type { Reading, TextLine } from '../../vision/ocr.ts'
import { type Area, drawFrame, insideOf } from '../../vision/picture.ts'
import { area, type Eyes, timeout, verdict, waitUntil } from './eyes.ts'

/** Lines of a subtitle are in the middle of the screen; those of banners and lists begin at a margin. */
const mostOffCenter = 0.06
/** A ticker runs from edge to edge. */
const widest = 0.75
/** Subtitles are white, or of a color nearly as bright. */
const letterLevel = 175
const leastConfidence = 55
const leastLetters = 3
/** One word in the middle is a sign or a name on a map more often than something said. */
const leastWords = 2

type Look = { source: Buffer; width: number; lines: TextLine[]; reading: Reading | null; part: Area }

const lettersOf = (text: string): number => (text.match(/\p{L}/gu) ?? []).length

/** The centered lines, unless others are beside them: then it is a banner, a ticker or a list. */
function subtitleLines(reading: Reading, width: number): TextLine[] {
  const lines = reading.lines.filter((line) => line.confidence >= leastConfidence && lettersOf(line.text) >= leastLetters)
  const isCentered = ({ bounds }: TextLine): boolean =>
    Math.abs((bounds.left + bounds.right) / 2 - width / 2) <= width * mostOffCenter &&
    bounds.right - bounds.left <= width * widest
  const centered = lines.filter(isCentered)
  const words = centered.flatMap((line) => line.text.match(/\p{L}{2,}/gu) ?? []).length
  return words >= leastWords && lines.length - centered.length <= 1 && centered.length <= 3 ? centered : []
}

async function look(eyes: Eyes, given: Area | null, language: string | null, signal: AbortSignal): Promise<Look> {
  const source = (await eyes.picture(signal)).data
  const { default: sharp } = await import('sharp')
  const { width, height } = await sharp(source).metadata()
  const part = given ?? { x: 0, y: Math.round(height * 0.58), width, height: Math.round(height * 0.42) }
  const middle = given ? (given.x + given.width / 2) * 2 : width
  let best: Reading | null = null
  for (const read of [
    () => readBright(eyes, source, part, language, signal),
    () => eyes.ocr?.read(source, { area: part, language }, signal),
  ]) {
    const reading = await read()
    if (!reading) continue
    const lines = subtitleLines(reading, middle)
    if (lines.length > 0) return { source, width, lines, reading, part }
    if (!best || reading.text.length > best.text.length) best = reading
  }
  return { source, width, lines: [], reading: best, part }
}

/** Only what is as bright as letters is left: the picture behind them is what misleads the reader. */
async function readBright(eyes: Eyes, source: Buffer, part: Area, language: string | null, signal: AbortSignal) {
  const { default: sharp } = await import('sharp')
  const inside = insideOf(await sharp(source).metadata(), part)
  if (!inside) throw new Error('The area lies outside of the picture')
  const extract = { left: inside.x, top: inside.y, width: inside.width, height: inside.height }
  const bright = await sharp(source).flatten().extract(extract).grayscale().threshold(letterLevel).png().toBuffer()
  const reading = await eyes.ocr?.read(bright, { language, way: 'global' }, signal)
  return reading && { ...reading, lines: reading.lines.map((line) => ({ ...line, bounds: moved(line.bounds, inside) })) }
}

const moved = ({ left, top, right, bottom }: TextLine['bounds'], by: { x: number; y: number }): TextLine['bounds'] => ({
  left: left + by.x,
  top: top + by.y,
  right: right + by.x,
  bottom: bottom + by.y,
})

export const subtitleCheck: CommandSpec<Eyes> = defineCommand({
  name: 'DetectSubtitles',
  label: 'Detect subtitles',
  description: 'Passes when lines of text stand in the middle of the lower part of the screen',
  offer: { verification: 'video' },
  params: {
    extract_text: { type: 'boolean', required: false, default: true, description: 'Whether the text is part of the answer' },
    area: { ...area, description: 'Where subtitles are; without it the lower part of the screen' },
    language: {
      type: 'string',
      required: false,
      default: null,
      description: 'Language as Tesseract names it',
      placeholder: 'eng',
    },
    timeout,
  },
  outputs: [
    { name: 'subtitles_detected', type: 'boolean' },
    { name: 'subtitle_text', type: 'string' },
    { name: 'subtitle_language', type: 'string' },
  ],
  run: async (eyes: Eyes, values, signal) => {
    if (!eyes.ocr) throw new Error('Tesseract is not installed on this host')
    const { last, waitedMs } = await waitUntil(
      eyes.clock,
      values.timeout,
      signal,
      () => look(eyes, values.area, values.language, signal),
      ({ lines }) => lines.length > 0,
    )
    const isThere = last.lines.length > 0
    const text = last.lines.map((line) => line.text).join('\n')
    const language = isThere ? (guessLanguage(text) ?? values.language) : null
    const confidence = isThere ? Math.round(last.lines.reduce((sum, line) => sum + line.confidence, 0) / last.lines.length) : 0
    const overlay = await drawFrame(last.source, last.part, isThere ? '#2ecc71' : '#ff5d6c')
    const urls = await eyes.keep({ source: last.source, overlay })
    const shown = values.extract_text && isThere
    return verdict(isThere, shown ? `Subtitles: ${text.replaceAll('\n', ' / ')}` : 'There are subtitles', 'No subtitles', {
      extractedText: shown ? text : '',
      detectedLanguage: language,
      languageConfidence: confidence,
      confidence,
      wait_time: waitedMs / 1000,
      output_data: {
        subtitles_detected: isThere,
        ...(shown && { subtitle_text: text }),
        ...(language !== null && { subtitle_language: language }),
      },
      ...urls,
    })
  },
})
