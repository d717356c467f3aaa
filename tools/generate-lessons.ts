// docs/lessons.md: what operation has taught, and the tests whose titles name it.
import { readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { listFiles, repositoryRoot } from './files.ts'
import { type Chapter, chapters } from './lessons.ts'
import { escapeCell } from './markdown.ts'

const idForm = /\b[PUWFLEDGRVHMB]\d{1,2}\b/g

/** Ids stand in front of the first colon of a title: `test('U8, S23: a body ...')`. */
export function idsOfTitles(text: string): string[] {
  const titles = [...text.matchAll(/\btest\(\s*(['"`])((?:\\.|(?!\1).)*)\1/gs)].map((match) => match[2] ?? '')
  return titles.flatMap((title) => (/^(.*?): /s.exec(title)?.[1] ?? '').match(idForm) ?? [])
}

/** The files that name each id, and those ids that no rule has. */
export function findTests(root: string, known: ReadonlySet<string>) {
  const files = new Map<string, string[]>()
  const unknown: string[] = []
  for (const file of listFiles(root, (path) => path.endsWith('.test.ts'))) {
    for (const id of new Set(idsOfTitles(readFileSync(join(root, file), 'utf8')))) {
      if (known.has(id)) files.set(id, [...(files.get(id) ?? []), file])
      else unknown.push(`${file} names ${id}, which is no lesson`)
    }
  }
  return { files, unknown }
}

export function problemsOf(rules: readonly Chapter[], files: ReadonlyMap<string, string[]>): string[] {
  return rules
    .flatMap(({ lessons }) => Object.entries(lessons))
    .filter(([id, { open }]) => open === undefined && !files.has(id))
    .map(([id]) => `${id} has neither a test that names it in its title nor, in tools/lessons.ts, a reason why not`)
}

const link = (file: string): string => `[${basename(file, '.test.ts')}](../${file})`

export async function generate(root = repositoryRoot): Promise<Record<string, string>> {
  const known = new Set(chapters.flatMap(({ lessons }) => Object.keys(lessons)))
  const { files, unknown } = findTests(root, known)
  const problems = [...unknown, ...problemsOf(chapters, files)]
  if (problems.length > 0) throw new Error(`\n  ${problems.join('\n  ')}`)
  const sections = chapters.map(({ title, lessons }) => {
    const rows = Object.entries(lessons).map(([id, { rule, open }]) => {
      const tests = (files.get(id) ?? []).map(link).join(', ') || '**none**'
      return `| ${id} | ${escapeCell(rule)} | ${tests} | ${escapeCell(open ?? '')} |`
    })
    return `## ${title}\n\n| Id | Rule | Tests | Open |\n|---|---|---|---|\n${rows.join('\n')}\n`
  })
  const text = `# Lessons of operation

<!-- Written by ${basename(dirname(import.meta.filename))}/generate-lessons.ts from tools/lessons.ts and the titles of the tests. -->

Each line is a rule that comes from a trouble which containers of this kind really had. Tests name the rule they prove in front of
the colon of their title. The gate fails for a rule that has neither a test nor a reason why it has none. Files called
\`*.long.test.ts\` run with \`npm run container:test\` or \`npm run reliability\`, the others with \`npm test\`.

${sections.join('\n')}`
  return { 'docs/lessons.md': text }
}
