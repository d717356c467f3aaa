/** Parameters that no shell would accept; the text says why. */
export class ParameterError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'ParameterError'
  }
}

/**
 * Splits one shell-like string into arguments as a POSIX shell does: blanks separate, single quotes keep everything,
 * double quotes and backslashes keep the next character. Nothing is expanded: `$HOME`, `*`, `;`, `$(...)` and the like
 * are plain characters, because the script is started without a shell.
 */
export function splitParameters(text: string): string[] {
  if (text.includes('\0')) throw new ParameterError('The parameters contain a NUL character.')
  const words: string[] = []
  let word: string | undefined
  let quote: '"' | "'" | undefined
  for (let at = 0; at < text.length; at++) {
    const char = text[at] ?? ''
    if (quote === "'") {
      if (char === "'") quote = undefined
      else word = (word ?? '') + char
    } else if (char === '\\') {
      const next = text[++at]
      if (next === undefined) throw new ParameterError('The parameters end with a backslash.')
      // In double quotes a backslash is special only before these; a backslash before a line end joins the lines.
      if (next === '\n') continue
      word = (word ?? '') + (quote === '"' && !'"\\$`'.includes(next) ? char + next : next)
    } else if (quote === '"') {
      if (char === '"') quote = undefined
      else word = (word ?? '') + char
    } else if (char === '"' || char === "'") {
      quote = char
      word ??= ''
    } else if (/\s/.test(char)) {
      if (word !== undefined) words.push(word)
      word = undefined
    } else {
      word = (word ?? '') + char
    }
  }
  if (quote !== undefined) throw new ParameterError(`The parameters contain an unclosed ${quote}.`)
  if (word !== undefined) words.push(word)
  return words
}
