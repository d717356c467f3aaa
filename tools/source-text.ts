// Reads TypeScript just far enough to tell code from comments and strings. TypeScript 7 has no stable
// interface for programs yet, and a package for this would be the only one the gate needs.

export interface ImportReference {
  specifier: string
  line: number
  isTypeOnly: boolean
  isDynamic: boolean
}

export interface SourceText {
  /** The text with comments and the contents of strings blanked out; offsets and lines are those of the original. */
  code: string
  /** The same with strings left in. */
  withoutComments: string
  comments: { text: string; offset: number }[]
}

const regexMayFollow = /(^|[=(,:[!&|?{};+\-*%<>~^]|\b(return|typeof|case|in|of|await|yield|throw|new|delete|void))\s*$/

export function readSource(text: string): SourceText {
  const code = text.split('')
  const withoutComments = [...code]
  const comments: SourceText['comments'] = []
  const blank = (target: string[], from: number, to: number) => {
    for (let at = from; at < to; at += 1) if (target[at] !== '\n') target[at] = ' '
  }
  /** The end of a string, template or regular expression that starts at `from`. */
  const endOfQuoted = (from: number, quote: string) => {
    let inClass = false
    for (let at = from + 1; at < text.length; at += 1) {
      const char = text[at]
      if (char === '\\') at += 1
      else if (quote === '/' && char === '[') inClass = true
      else if (quote === '/' && char === ']') inClass = false
      else if (quote === '`' && char === '$' && text[at + 1] === '{') at = scan(at + 2, true)
      else if (char === quote && !inClass) return at + 1
      else if (char === '\n' && quote !== '`') return at // not a string after all; do not lose the rest of the file
    }
    return text.length
  }
  /** Scans code from an offset; inside a template it returns at the brace that closes the expression. */
  function scan(from: number, insideTemplate: boolean): number {
    let depth = 0
    let at = from
    while (at < text.length) {
      const char = text[at] ?? ''
      if (insideTemplate && char === '}') {
        if (depth === 0) return at
        depth -= 1
      }
      if (insideTemplate && char === '{') depth += 1
      const two = text.slice(at, at + 2)
      if (two === '//' || two === '/*') {
        const close = two === '//' ? text.indexOf('\n', at) : text.indexOf('*/', at + 2)
        const end = close < 0 ? text.length : two === '//' ? close : close + 2
        comments.push({ text: text.slice(at, end), offset: at })
        blank(code, at, end)
        blank(withoutComments, at, end)
        at = end
      } else if (char === "'" || char === '"' || char === '`') {
        const end = endOfQuoted(at, char)
        blank(code, at + 1, end - 1)
        at = end
      } else if (char === '/' && regexMayFollow.test(code.slice(Math.max(0, at - 40), at).join(''))) {
        const end = endOfQuoted(at, '/')
        blank(code, at + 1, end - 1)
        blank(withoutComments, at + 1, end - 1)
        at = end
      } else at += 1
    }
    return at
  }
  scan(0, false)
  return { code: code.join(''), withoutComments: withoutComments.join(''), comments }
}

const staticImport =
  /(^|[\n;}])\s*(import|export)\s+(type\s+)?(?:[\w*{][\w\s*{},$]*?\sfrom\s*|[\w*{][\w\s*{},$]*?\}\s*from\s*)?(['"])/g
const dynamicImport = /\b(?:import|require|import\.meta\.resolve)\s*\(\s*(['"])/g

/** Every module that a file names: imports, re-exports, and dynamic imports with a written-out name. */
export function findImports(text: string): ImportReference[] {
  const { code, withoutComments } = readSource(text)
  const found: (ImportReference & { offset: number })[] = []
  const add = (match: RegExpExecArray, quote: string, isTypeOnly: boolean, isDynamic: boolean) => {
    const start = match.index + match[0].length
    const specifier = withoutComments.slice(start, withoutComments.indexOf(quote, start))
    const line = withoutComments.slice(0, start).split('\n').length
    found.push({ specifier, line, isTypeOnly, isDynamic, offset: start })
  }
  for (const match of code.matchAll(staticImport)) {
    const isTypeOnly = match[3] !== undefined
    add(match, match[4] ?? '', isTypeOnly, false)
  }
  for (const match of code.matchAll(dynamicImport)) add(match, match[1] ?? '', false, true)
  return found.sort((a, b) => a.offset - b.offset).map(({ offset: _, ...reference }) => reference)
}
