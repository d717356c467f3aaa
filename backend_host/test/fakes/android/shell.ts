/**
 * The shell of the simulated device. It does what a real one does with quotes, separators, pipes, redirections and
 * substitutions, so that a text which is not quoted rightly does its harm here, where a test sees it.
 */
import type { ShellOutput } from './streams.ts'

/** One program: its arguments and its input, and what it says. */
export type Program = (args: string[], stdin: Buffer) => Promise<ShellOutput> | ShellOutput

export const says = (out: string | Buffer, exitCode = 0, err = ''): ShellOutput => ({
  stdout: Buffer.from(out as string),
  stderr: Buffer.from(err),
  exitCode,
})

type Token = { word: string } | { operator: string }

/** Substitutions are carried out while words are read, as a shell does before it starts anything. */
async function tokensOf(line: string, substitute: (inner: string) => Promise<string>): Promise<Token[]> {
  const tokens: Token[] = []
  let word: string | null = null
  const end = (): void => {
    if (word !== null) tokens.push({ word })
    word = null
  }
  for (let at = 0; at < line.length; ) {
    const rest = line.slice(at)
    const quote = /^'([^']*)'/.exec(rest)
    const operator = /^(?:&&|\|\||1?>&2|2>&1|[;|&\n])/.exec(rest)
    const inner = /^\$\(([^)]*)\)/.exec(rest) ?? /^`([^`]*)`/.exec(rest)
    if (quote) word = (word ?? '') + (quote[1] ?? '')
    else if (inner) word = (word ?? '') + (await substitute(inner[1] ?? ''))
    else if (rest.startsWith('"')) {
      const [text, size] = await inDoubleQuotes(rest, substitute)
      word = (word ?? '') + text
      at += size
      continue
    } else if (rest.startsWith('\\')) {
      word = (word ?? '') + (rest[1] ?? '')
      at += 2
      continue
    } else if (operator && (word === null || !/^[12]/.test(operator[0]))) {
      end()
      tokens.push({ operator: operator[0] })
      at += operator[0].length
      continue
    } else if (/^[ \t]/.test(rest)) end()
    else word = (word ?? '') + (rest.startsWith('$?') ? '\u0000' : (rest[0] ?? ''))
    at += quote?.[0].length ?? inner?.[0].length ?? (rest.startsWith('$?') ? 2 : 1)
  }
  end()
  return tokens
}

async function inDoubleQuotes(rest: string, substitute: (inner: string) => Promise<string>): Promise<[string, number]> {
  let text = ''
  let at = 1
  while (at < rest.length && rest[at] !== '"') {
    const from = rest.slice(at)
    const inner = /^\$\(([^)]*)\)/.exec(from) ?? /^`([^`]*)`/.exec(from)
    if (inner) text += await substitute(inner[1] ?? '')
    else if (from.startsWith('$?')) text += '\u0000'
    else text += from.startsWith('\\') ? (from[1] ?? '') : (from[0] ?? '')
    at += inner?.[0].length ?? (from.startsWith('$?') || from.startsWith('\\') ? 2 : 1)
  }
  return [text, at + 1]
}

/** Runs lists of pipelines; the exit code is that of the last program that ran. */
export function createShell(programs: Map<string, Program>): (line: string) => Promise<ShellOutput> {
  async function run(line: string): Promise<ShellOutput> {
    const substitute = async (inner: string): Promise<string> => (await run(inner)).stdout.toString('utf8').trimEnd()
    const tokens = [...(await tokensOf(line, substitute)), { operator: ';' }]
    const out: Buffer[] = []
    const err: Buffer[] = []
    let code = 0
    let words: string[] = []
    let stdin: Buffer = Buffer.alloc(0)
    let isSkipped = false
    let isToStderr = false
    for (const token of tokens) {
      if ('word' in token) {
        words.push(token.word.replaceAll('\u0000', String(code)))
        continue
      }
      if (token.operator.includes('>&')) {
        isToStderr = !token.operator.startsWith('2')
        continue
      }
      if (words.length > 0 && !isSkipped) {
        const [name = '', ...args] = words
        const program = programs.get(name)
        const result = program
          ? await program(args, stdin)
          : says('', 127, `/system/bin/sh: ${name}: inaccessible or not found\n`)
        code = result.exitCode
        err.push(result.stderr)
        stdin = Buffer.alloc(0)
        if (isToStderr) err.push(result.stdout)
        else if (token.operator === '|') stdin = result.stdout
        else out.push(result.stdout)
      }
      words = []
      isToStderr = false
      if (token.operator === '&&') isSkipped = code !== 0
      else if (token.operator === '||') isSkipped = code === 0
      else if (token.operator !== '|') isSkipped = false
    }
    return { stdout: Buffer.concat(out), stderr: Buffer.concat(err), exitCode: code }
  }
  return run
}
