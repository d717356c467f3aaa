// Rules about names and words that no other check sees: silenced checks, unfinished places, file names and
// lengths, error codes outside the table, focused tests, and commands or files that documents name wrongly.
import { existsSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { isSource, isTest, lineAt, listFiles, type Problem } from './files.ts'
import { readSource } from './source-text.ts'

const longestFile = 400

/** Found in comments only, so that a check may name what it looks for. */
const commentRules: [pattern: RegExp, text: string][] = [
  [/@ts-(ignore|expect-error|nocheck)|(biome|eslint|oxlint)-(ignore|disable)/, 'silences a check: change the code or the rule'],
  [/\b(TODO|FIXME|XXX)\b(?! ?\(#\d+\))/, 'an unfinished place must name an issue, as in TODO (#12)'],
]

const codeRules: [pattern: RegExp, text: string, only: (path: string) => boolean][] = [
  [/\b(?:test|it|describe|suite)\.only\(|\bonly:\s*true/, 'a focused test leaves out all others', isTest],
  [/\bskip:\s*true\b|\b\w+\.skip\(\s*\)/, 'a skipped test must say why', isTest],
]

const vagueNames = /(^|[-.])(managers?|helpers?|utils?|common|misc)([-.]|$)/
const kebabCase = /^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+(-[a-z0-9]+)*)*$/

/** One spelling everywhere, so that a search finds everything; `cancelled` is public data and stays. */
const british =
  /\b(behaviour|colour|favour|neighbour|honour|centre|licence|catalogue|analyse|(?:organ|recogn|initial|serial|normal|synchron|optim|summar|util)is(?:e|es|ed|ing|ation))\w*/i

/** @param errorCodes the names in the tables of the contract */
export function checkWords(root: string, errorCodes: ReadonlySet<string>): Problem[] {
  const problems: Problem[] = []
  for (const file of listFiles(root)) {
    const isDocument = file.endsWith('.md')
    if (!isSource(file) && !isDocument) continue
    const text = readFileSync(join(root, file), 'utf8')
    if (isSource(file) && !file.includes('.generated.')) problems.push(...checkCode(file, text, errorCodes))
    if (isDocument) problems.push(...checkDocument(root, file, text))
    const spelling = basename(file).startsWith('check-words') ? null : british.exec(text)
    if (spelling) problems.push({ file, line: lineAt(text, spelling.index), text: `American spelling, please: ${spelling[0]}` })
  }
  return problems
}

function checkCode(file: string, text: string, errorCodes: ReadonlySet<string>): Problem[] {
  const problems: Problem[] = []
  const name = basename(file)
  // Scripts of a lab keep the names they have always had; runs in the database refer to them.
  if (!kebabCase.test(name) && !file.startsWith('test_scripts/')) problems.push({ file, text: 'file names are in kebab-case' })
  if (vagueNames.test(name)) problems.push({ file, text: 'this name says nothing: name what the file does' })
  const lines = text.split('\n').length
  if (lines > longestFile) problems.push({ file, text: `has ${lines} lines: above ${longestFile}, split it by idea` })
  const { comments, code, withoutComments } = readSource(text)
  for (const comment of comments) {
    for (const [pattern, why] of commentRules) {
      const match = pattern.exec(comment.text)
      if (match) problems.push({ file, line: lineAt(text, comment.offset + match.index), text: `${match[0]}: ${why}` })
    }
  }
  for (const [pattern, why, only] of codeRules) {
    const match = only(file) ? pattern.exec(code) : null
    if (match) problems.push({ file, line: lineAt(text, match.index), text: `${match[0]}: ${why}` })
  }
  if (/^backend_\w+\/src\//.test(file) && !isTest(file)) {
    for (const match of withoutComments.matchAll(/\bcode:\s*'([a-z]+(?:_[a-z]+)*)'/g)) {
      const code = match[1] ?? ''
      if (!errorCodes.has(code)) {
        problems.push({ file, line: lineAt(text, match.index), text: `error code ${code} is not in the tables of the contract` })
      }
    }
  }
  return problems
}

/** Documents that describe the present; the others may speak of what was. */
const present = new Set(['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md'])

function checkDocument(root: string, file: string, text: string): Problem[] {
  const problems: Problem[] = []
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts?: Record<string, string> }
  for (const match of text.matchAll(/\bnpm run (?:-s |--silent )?([\w:-]+)/g)) {
    const script = match[1] ?? ''
    if (!manifest.scripts?.[script])
      problems.push({ file, line: lineAt(text, match.index), text: `there is no npm script ${script}` })
  }
  if (!present.has(file)) return problems
  for (const match of text.matchAll(/`((?:shared|backend_server|backend_host|test_scripts|tools|docs)\/[\w./-]+)`/g)) {
    const path = match[1] ?? ''
    const isExample = path.split('/').some((part) => /^x\b|\.\.\.|[A-Z]{3}/.test(part))
    if (!isExample && !existsSync(join(root, path)))
      problems.push({ file, line: lineAt(text, match.index), text: `there is no ${path}` })
  }
  return problems
}
