// Every file of settings is one that a parser accepts: a broken one is otherwise found by whoever needs it first.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { parseIni } from '../backend_server/src/container/ini.ts'
import { listFiles, type Problem } from './files.ts'

const kinds: [pattern: RegExp, parse: (text: string) => void][] = [
  // package-lock.json is npm's.
  [/(?<!package-lock)\.json$/, (text) => void JSON.parse(text)],
  [/\.ya?ml$/, parseYaml],
  [/\.(ini|service|socket|timer)$|\/supervisor[^/]*\/[^/]*\.conf$/, parseSections],
  [/(^|\/)env\.example$|\.env$/, parseVariables],
]

export function checkConfiguration(root: string): Problem[] {
  return listFiles(root).flatMap((file) => {
    const parse = kinds.find(([pattern]) => pattern.test(file))?.[1]
    if (!parse) return []
    try {
      parse(readFileSync(join(root, file), 'utf8'))
      return []
    } catch (error) {
      return [{ file, text: error instanceof Error ? (error.message.split('\n')[0] ?? '') : 'cannot be parsed' }]
    }
  })
}

function parseYaml(text: string): void {
  for (const document of parseAllDocuments(text, { uniqueKeys: true })) {
    const [problem] = [...document.errors, ...document.warnings]
    if (problem) throw problem
    document.toJS()
  }
}

function parseSections(text: string): void {
  if (parseIni(text).size === 0) throw new Error('it has no section')
}

function parseVariables(text: string): void {
  for (const [index, line] of text.split('\n').entries())
    if (!/^\s*(#.*)?$|^[A-Z][A-Z0-9_]*=/.test(line)) throw new Error(`line ${index + 1} is neither a comment nor NAME=value`)
}
