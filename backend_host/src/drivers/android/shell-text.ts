/** One word for the shell of the device: between single quotes nothing means anything, and a single quote stands outside. */
export function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`
}

const packageForm = /^[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z0-9_]+)*$/
const activityForm = /^\.?[A-Za-z_$][A-Za-z0-9_$]*(\.[A-Za-z0-9_$]+)*$/
const mostNameLength = 300

/** A package, or a package with one of its activities as `package/activity`. */
export type AppName = { package: string; activity: string | null }

export function parseAppName(text: string): AppName | null {
  const [name = '', activity = null, more] = text.trim().split('/')
  if (text.length > mostNameLength || more !== undefined || !packageForm.test(name)) return null
  if (activity !== null && !activityForm.test(activity)) return null
  return { package: name, activity }
}

export const mostTextLength = 2000
const chunkLength = 400

export type TypedPart = { text: string } | { key: 'ENTER' | 'TAB' }
const keyOf: Record<string, 'ENTER' | 'TAB'> = { '\n': 'ENTER', '\t': 'TAB' }

/**
 * A text as the parts in which it is typed: lines and tabs are keys of their own, and no part is longer than the
 * command line of old devices allows. The device's `input text` takes `%s` for a space, so a real `%s` is cut apart.
 */
export function typedParts(text: string): TypedPart[] {
  return text
    .replaceAll('\r\n', '\n')
    .split(/([\n\t])/)
    .flatMap((piece): TypedPart[] => {
      const key = keyOf[piece]
      if (key !== undefined) return [{ key }]
      return chunksOf(piece).flatMap((chunk) => chunk.split(/(?<=%)(?=s)/).map((part) => ({ text: part })))
    })
}

function chunksOf(text: string): string[] {
  const chunks: string[] = []
  let chunk = ''
  for (const character of text) {
    if (chunk.length + character.length > chunkLength) {
      chunks.push(chunk)
      chunk = ''
    }
    chunk += character
  }
  return chunk === '' ? chunks : [...chunks, chunk]
}

/** The command line that types one part; spaces as `%s`, because old devices take the text apart at them. */
export const typeLine = (part: string): string => `input text ${quoted(part.replaceAll(' ', '%s'))}`

/** A character that no keyboard has, such as the null that would end the command line; null when there is none. */
export function untypable(text: string): string | null {
  for (const character of text.replaceAll('\r\n', '\n')) {
    const code = character.codePointAt(0) ?? 0
    const isControl = (code < 0x20 && character !== '\n' && character !== '\t') || code === 0x7f
    const isHalf = code >= 0xd800 && code <= 0xdfff
    if (isControl || isHalf) return `U+${code.toString(16).padStart(4, '0').toUpperCase()}`
  }
  return null
}
