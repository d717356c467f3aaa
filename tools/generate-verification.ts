// Writes the tables of docs/verification.md: what can be checked, and the cases that say how far a verdict can be trusted.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createBlocks } from '../backend_host/src/features/blocks/index.ts'
import { checkTables } from '../backend_host/src/features/verification/index.ts'
import { imageCases, screenCases, subtitleCases, textCases, zapCases } from '../backend_host/test/verification/cases.ts'
import { repositoryRoot as root } from './files.ts'

const file = 'docs/verification.md'

interface Row {
  kind: string
  about: string
  expected: boolean
  isKnownMiss: boolean
}

const cell = (text: string): string => text.replaceAll('|', '\\|')
const place = (area: object | undefined): string => (area ? ', in an area' : '')

/** Every case with the verdict a person would give. */
function allCases(): Row[] {
  return [
    ...textCases.map(({ screen, text, isThere, area, isKnownMiss }) => ({
      kind: 'text',
      about: `"${text}" on ${screen}${place(area)}`,
      expected: isThere,
      isKnownMiss: isKnownMiss ?? false,
    })),
    ...imageCases.map(({ name, on, isThere, isKnownMiss }) => ({
      kind: 'image',
      about: `${name}, on ${on}`,
      expected: isThere,
      isKnownMiss: isKnownMiss ?? false,
    })),
    ...Object.entries(screenCases).flatMap(([name, verdicts]) =>
      Object.entries(verdicts).map(([command, expected]) => ({ kind: command, about: name, expected, isKnownMiss: false })),
    ),
    ...zapCases.map(({ name, isZap, isKnownMiss }) => ({
      kind: 'DetectZapping',
      about: name,
      expected: isZap,
      isKnownMiss: isKnownMiss ?? false,
    })),
    ...subtitleCases.map(({ name, subtitles, isKnownMiss }) => ({
      kind: 'DetectSubtitles',
      about: subtitles === 'off' ? name : `${name}, ${subtitles}`,
      expected: subtitles !== 'off',
      isKnownMiss: isKnownMiss ?? false,
    })),
  ]
}

function summary(rows: readonly Row[]): string[] {
  const kinds = [...new Set(rows.map((row) => row.kind))]
  const line = (kind: string, of: readonly Row[]): string => {
    const positive = of.filter((row) => row.isKnownMiss && !row.expected).length
    const negative = of.filter((row) => row.isKnownMiss && row.expected).length
    return `| ${kind} | ${of.filter((row) => row.expected).length} | ${of.filter((row) => !row.expected).length} | ${positive} | ${negative} |`
  }
  return [
    '| Check | Cases that must pass | Cases that must fail | False positives | False negatives |',
    '|---|---|---|---|---|',
    ...kinds.map((kind) =>
      line(
        kind,
        rows.filter((row) => row.kind === kind),
      ),
    ),
    line('all', rows),
  ]
}

function misses(rows: readonly Row[]): string[] {
  return [
    '| Check | Case | Verdict of a person | Verdict of the check |',
    '|---|---|---|---|',
    ...rows
      .filter((row) => row.isKnownMiss)
      .map(
        ({ kind, about, expected }) =>
          `| ${kind} | ${cell(about)} | ${expected ? 'passes' : 'fails'} | ${expected ? 'fails' : 'passes'} |`,
      ),
  ]
}

function cases(rows: readonly Row[]): string[] {
  const kinds = [...new Set(rows.map((row) => row.kind))]
  const list = (of: readonly Row[]): string => cell(of.map((row) => row.about + (row.isKnownMiss ? ' (wrong)' : '')).join('; '))
  return [
    '| Check | Must pass | Must fail |',
    '|---|---|---|',
    ...kinds.map((kind) => {
      const own = rows.filter((row) => row.kind === kind)
      return `| ${kind} | ${list(own.filter((row) => row.expected))} | ${list(own.filter((row) => !row.expected))} |`
    }),
  ]
}

function commands(): string[] {
  const params = (given: Record<string, { required: boolean; default: unknown }>): string =>
    Object.entries(given)
      .map(([name, { required, default: value }]) =>
        required ? `${name}*` : value === null ? name : `${name} (${typeof value === 'string' ? value : JSON.stringify(value)})`,
      )
      .join(', ')
  const checks = Object.entries(checkTables).flatMap(([kind, table]) =>
    table.map((one) => `| ${kind} | \`${one.name}\` | ${cell(one.description)} | ${cell(params(one.params))} |`),
  )
  const clock = { now: () => 0, sleep: async () => undefined }
  const blocks = createBlocks({ clock, machine: { env: {}, folder: '.', clock } }).describe()
  return [
    '| Kind | Command | Passes, or does | Parameters (default), * needed |',
    '|---|---|---|---|',
    ...checks,
    ...blocks.map(
      ({ command, description, params: given }) =>
        `| block | \`${String(command)}\` | ${cell(String(description))} | ${cell(params(given as Record<string, { required: boolean; default: unknown }>))} |`,
    ),
  ]
}

/** The text between the marks of a name is replaced; the rest of the page is written by people. */
function fill(page: string, name: string, lines: readonly string[]): string {
  const [begin, end] = [`<!-- generated: ${name} -->`, `<!-- end: ${name} -->`]
  const [from, to] = [page.indexOf(begin), page.indexOf(end)]
  if (from < 0 || to < from) throw new Error(`${file} has no marks for ${name}`)
  return `${page.slice(0, from + begin.length)}\n${lines.join('\n')}\n${page.slice(to)}`
}

export async function generate(): Promise<Record<string, string>> {
  const rows = allCases()
  let page = readFileSync(join(root, file), 'utf8')
  page = fill(page, 'commands', commands())
  page = fill(page, 'figures', summary(rows))
  page = fill(page, 'misses', misses(rows))
  page = fill(page, 'cases', cases(rows))
  return { [file]: page }
}
