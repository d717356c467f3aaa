/*
 * HTML that is escaped unless it was written in this folder: a template literal tagged with `html` is trusted text, and
 * everything put into it is escaped, except what came out of another `html` template. The mark is a symbol, so nothing that
 * was parsed from JSON can carry it.
 */
const trusted = Symbol('trusted html')

export interface Html {
  readonly [trusted]: string
}
export type Content = string | number | null | undefined | false | Html | readonly Content[]

export function html(parts: TemplateStringsArray, ...values: readonly Content[]): Html {
  let text = parts[0] ?? ''
  for (const [index, value] of values.entries()) text += toText(value) + (parts[index + 1] ?? '')
  return trustedHtml(text)
}

/** Only for text of our own source files, such as the style sheet. */
export const trustedHtml = (text: string): Html => ({ [trusted]: text })

export const htmlText = (content: Html): string => content[trusted]

function toText(value: Content): string {
  if (value === null || value === undefined || value === false) return ''
  if (typeof value === 'string') return escapeText(value)
  if (typeof value === 'number') return String(value)
  if (isList(value)) return value.map(toText).join('')
  return value[trusted]
}

const isList = (value: Html | readonly Content[]): value is readonly Content[] => Array.isArray(value)

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

/** Control characters could hide text, and marks of direction could turn it around: both are shown as what they are, garbage. */
const unprintable = /(?![\n\t])[\p{Cc}\p{Bidi_Control}]/gu

const escapeText = (text: string): string =>
  text
    .toWellFormed()
    .replace(/\r\n?/g, '\n')
    .replace(unprintable, '\uFFFD')
    .replace(/[&<>"']/g, (character) => entities[character] ?? '')
