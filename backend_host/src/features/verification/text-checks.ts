import type { CommandSpec } from '../../drivers/driver.ts'
import { defineCommand } from '../../drivers/driver.ts'
import { findText, type Reading, readingWays, type TextLine } from '../../vision/ocr.ts'
import { type Area, drawFrame } from '../../vision/picture.ts'
import { area, type Eyes, timeout, verdict, waitUntil } from './eyes.ts'

const text = { type: 'string', required: true, default: '', description: 'Text to look for', placeholder: 'Settings' } as const
const language = {
  type: 'string',
  required: false,
  default: null,
  description: 'Language as Tesseract names it',
  placeholder: 'eng',
} as const

const referenceName = {
  type: 'string',
  required: false,
  default: null,
  description: 'Name of a saved text; it brings the area along where it is expected',
} as const

type Look = { source: Buffer; reading: Reading; found: TextLine[] | null }

async function lookFor(
  eyes: Eyes,
  wanted: string,
  options: { area: Area | null; language: string | null },
  signal: AbortSignal,
): Promise<Look> {
  if (!eyes.ocr) throw new Error('Tesseract is not installed on this host')
  const source = (await eyes.picture(signal)).data
  const readings: Reading[] = []
  for (const way of readingWays) {
    const reading = await eyes.ocr.read(source, { ...options, way }, signal)
    readings.push(reading)
    const found = findText(reading, wanted)
    if (found) return { source, reading, found: found.lines }
  }
  const best = readings.sort((a, b) => b.text.length * b.confidence - a.text.length * a.confidence)[0]
  if (!best) throw new Error('Nothing was read')
  return { source, reading: best, found: null }
}

function around(lines: readonly TextLine[]): Area {
  const left = Math.min(...lines.map((line) => line.bounds.left))
  const top = Math.min(...lines.map((line) => line.bounds.top))
  const right = Math.max(...lines.map((line) => line.bounds.right))
  const bottom = Math.max(...lines.map((line) => line.bounds.bottom))
  return { x: left, y: top, width: right - left, height: bottom - top }
}

function textCheck(name: string, label: string, wanted: boolean): CommandSpec<Eyes> {
  return defineCommand({
    name,
    label,
    description: `Passes when a text of the screen that contains the given one ${wanted ? 'is there' : 'is not there'}`,
    offer: { verification: 'text' },
    params: { text, timeout, area, language, reference_name: referenceName },
    run: async (eyes: Eyes, values, signal) => {
      const part = values.area ?? (values.reference_name ? await eyes.textArea(values.reference_name) : null)
      const { isGood, last, waitedMs } = await waitUntil(
        eyes.clock,
        values.timeout,
        signal,
        () => lookFor(eyes, values.text, { area: part, language: values.language }, signal),
        (seen) => (seen.found !== null) === wanted,
      )
      const match = last.found ? around(last.found) : null
      const frame = match ?? part
      const overlay = frame ? await drawFrame(last.source, frame, match ? '#2ecc71' : '#ff5d6c') : undefined
      const urls = await eyes.keep({ source: last.source, overlay })
      const sentence = `"${values.text.slice(0, 200)}" is ${last.found ? '' : 'not '}on the screen`
      const confidence = last.found
        ? Math.round(last.found.reduce((sum, line) => sum + line.confidence, 0) / last.found.length)
        : last.reading.confidence
      return verdict(isGood, sentence, sentence, {
        extractedText: last.reading.text,
        searchedText: values.text,
        confidence,
        // A share, as for pictures: clients show both in the same place.
        matchingResult: last.found ? confidence / 100 : 0,
        detectedLanguage: last.reading.language,
        languageConfidence: last.reading.confidence,
        match,
        wait_time: waitedMs / 1000,
        ...urls,
      })
    },
  })
}

export const textChecks: readonly CommandSpec<Eyes>[] = [
  textCheck('waitForTextToAppear', 'Wait for text', true),
  textCheck('waitForTextToDisappear', 'Wait until text is gone', false),
  defineCommand({
    name: 'getMenuInfo',
    label: 'Read screen',
    description: 'All texts of the screen',
    offer: { verification: 'text' },
    params: { area, language },
    outputs: [
      { name: 'parsed_data', type: 'object' },
      { name: 'ocr_text', type: 'string' },
      { name: 'element_count', type: 'number' },
    ],
    run: async (eyes: Eyes, values, signal) => {
      if (!eyes.ocr) throw new Error('Tesseract is not installed on this host')
      const source = (await eyes.picture(signal)).data
      const reading = await eyes.ocr.read(source, values, signal)
      const parsed_data = { texts: reading.lines.map((line) => line.text), lines: reading.lines }
      const output_data = { parsed_data, ocr_text: reading.text, element_count: reading.lines.length }
      const urls = await eyes.keep({ source })
      return verdict(true, `${reading.lines.length} texts`, '', {
        output_data,
        extractedText: reading.text,
        confidence: reading.confidence,
        detectedLanguage: reading.language,
        ...urls,
      })
    },
  }),
]
