import { stripVTControlCharacters, styleText } from 'node:util'

type Style = Parameters<typeof styleText>[0]

/** Colors where the stream is a terminal that has them; NO_COLOR and pipes get plain text. */
export const paint = (style: Style, text: string, stream: NodeJS.WriteStream = process.stdout): string =>
  styleText(style, text, { stream })

/** Names, messages and log lines come from devices and other people: they must not move the cursor or hide text. */
export const plain = (text: string): string =>
  stripVTControlCharacters(text.toWellFormed())
    .replace(/\r\n?|\n/g, ' ')
    .replace(/\t/g, '    ')
    .replace(/[\p{Cc}\p{Bidi_Control}]/gu, '\uFFFD')

export const say = (line = ''): void => {
  process.stdout.write(`${line}\n`)
}
/** For everything that is not the result: it must not get into a pipe. */
export const note = (line: string): void => {
  process.stderr.write(`${line}\n`)
}
export const sayJson = (value: unknown): void => say(JSON.stringify(value, null, 2))

export interface Column<Row> {
  title: string
  value: (row: Row) => string
  style?: (row: Row) => Style | undefined
  right?: boolean
}

/** Columns as wide as their longest value; the last one is not padded, so that a pipe gets no blanks at the ends of lines. */
export function sayTable<Row>(rows: readonly Row[], columns: readonly Column<Row>[], nothing: string): void {
  if (rows.length === 0) {
    note(nothing)
    return
  }
  const cells = rows.map((row) => columns.map((column) => plain(column.value(row))))
  const widths = columns.map((column, index) => Math.max(column.title.length, ...cells.map((line) => line[index]?.length ?? 0)))
  const pad = (text: string, index: number): string => {
    if (columns[index]?.right) return text.padStart(widths[index] ?? 0)
    return index === columns.length - 1 ? text : text.padEnd(widths[index] ?? 0)
  }
  say(paint('dim', columns.map((column, index) => pad(column.title, index)).join('  ')))
  for (const [index, row] of rows.entries()) {
    const line = columns.map((column, at) => {
      const text = pad(cells[index]?.[at] ?? '', at)
      const style = column.style?.(row)
      return style ? paint(style, text) : text
    })
    // Without blanks behind the last value; a color code would hide them from the cut.
    say(line.join('  ').trimEnd())
  }
}
