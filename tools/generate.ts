// Writes every generated file, or with --check says which one is not what its source says.
//
// A generator is a module that exports `generate(): Promise<Record<path, content>>`, paths from the root.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { repositoryRoot as root } from './files.ts'

const generators = [
  'generate-openapi.ts',
  'dump-schema.ts',
  'generate-errors-doc.ts',
  'generate-env.ts',
  'generate-dashboards.ts',
  'generate-lessons.ts',
  'generate-verification.ts',
]

type Generate = () => Promise<Record<string, string>>

async function loadGenerator(name: string): Promise<Generate> {
  const module = (await import(join(import.meta.dirname, name))) as { generate?: unknown }
  if (typeof module.generate !== 'function') throw new Error('it does not export generate()')
  return module.generate as Generate
}

function present(path: string): string | undefined {
  try {
    return readFileSync(join(root, path), 'utf8')
  } catch {
    return undefined
  }
}

/** The first line that differs, which mostly says which change was forgotten. */
function firstDifference(is: string, shouldBe: string): string {
  const [found, wanted] = [is.split('\n'), shouldBe.split('\n')]
  const at = wanted.findIndex((line, index) => line !== found[index])
  const index = at < 0 ? wanted.length : at
  return `line ${index + 1}\n  is        ${found[index] ?? '(the end)'}\n  should be ${wanted[index] ?? '(the end)'}`
}

async function main() {
  const isCheck = process.argv.includes('--check')
  let isWrong = false
  for (const name of generators) {
    let files: Record<string, string>
    try {
      files = await (await loadGenerator(name))()
    } catch (error) {
      isWrong = true
      console.error(`tools/${name}: ${error instanceof Error ? error.message : String(error)}`)
      continue
    }
    for (const [path, content] of Object.entries(files)) {
      const old = present(path)
      if (old === content) continue
      if (isCheck) {
        isWrong = true
        console.error(`${path} is not up to date: ${old === undefined ? 'it is missing' : firstDifference(old, content)}`)
      } else {
        mkdirSync(dirname(join(root, path)), { recursive: true })
        writeFileSync(join(root, path), content)
        console.log(`${old === undefined ? 'wrote ' : 'changed'} ${path}`)
      }
    }
  }
  if (isWrong && isCheck) console.error('`npm run generate` brings generated files up to date; commit them with their cause.')
  if (isWrong) process.exitCode = 1
}

await main()
