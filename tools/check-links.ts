// Relative links in Markdown lead somewhere: to a file that exists and, after #, to a heading of it.
import { existsSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { lineAt, listFiles, type Problem } from './files.ts'

/** Blanks out code, in which brackets are no links and # begins no heading; offsets stay. */
function withoutCode(markdown: string): string {
  const blank = (text: string) => text.replace(/[^\n]/g, ' ')
  return markdown
    .replace(/^( {0,3})(`{3,}|~{3,})[^\n]*\n[\s\S]*?(^ {0,3}\2[`~]*[ \t]*$|(?![\s\S]))/gm, blank)
    .replace(/<!--[\s\S]*?-->/g, blank)
    .replace(/(`+)(?!`)[^\n]*?[^`\n]\1(?!`)/g, blank)
}

/** The name that GitHub gives a heading: lower case, no punctuation, hyphens for spaces, -1 and so on for repetitions. */
export function anchorsOf(markdown: string): Set<string> {
  const anchors = new Set<string>()
  const clean = markdown.replace(/^( {0,3})(`{3,}|~{3,})[^\n]*\n[\s\S]*?(^ {0,3}\2[`~]*[ \t]*$|(?![\s\S]))/gm, '')
  const add = (name: string) => {
    let unique = name
    for (let count = 1; anchors.has(unique); count += 1) unique = `${name}-${count}`
    anchors.add(unique)
  }
  for (const [, heading = ''] of clean.matchAll(/^#{1,6}[ \t]+(.*?)[ \t]*#*$/gm)) {
    const text = heading.replace(/!?\[([^\]]*)\]\([^)]*\)/g, '$1').replace(/[*`]/g, '')
    add(
      text
        .trim()
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\p{M} _-]/gu, '')
        .replaceAll(' ', '-'),
    )
  }
  for (const [, name = ''] of clean.matchAll(/<a\s+(?:id|name)="([^"]+)"/g)) anchors.add(name)
  return anchors
}

const inlineLink = /\]\(\s*<?([^)\s>]+)>?(?:\s+["'][^"']*["'])?\s*\)/g
const linkDefinition = /^ {0,3}\[[^\]]+\]:\s*<?([^\s>]+)/gm

export function checkLinks(root: string): Problem[] {
  const problems: Problem[] = []
  for (const file of listFiles(root, (path) => path.endsWith('.md'))) {
    const text = readFileSync(join(root, file), 'utf8')
    const prose = withoutCode(text)
    for (const match of [...prose.matchAll(inlineLink), ...prose.matchAll(linkDefinition)]) {
      const problem = checkLink(root, file, match[1] ?? '')
      if (problem) problems.push({ file, line: lineAt(text, match.index), text: problem })
    }
  }
  return problems
}

function checkLink(root: string, file: string, link: string): string | undefined {
  if (/^[a-z][a-z0-9+.-]*:/i.test(link) || link.startsWith('//')) return undefined
  const [path = '', anchor] = decodeURI(link).split('#')
  const target = path === '' ? file : path.startsWith('/') ? path.slice(1) : join(dirname(file), path)
  if (target.startsWith('..')) return `${link} leads out of the repository`
  if (!existsSync(join(root, target))) return `${link} leads to nothing`
  if (anchor === undefined || !target.endsWith('.md') || !statSync(join(root, target)).isFile()) return undefined
  if (!anchorsOf(readFileSync(join(root, target), 'utf8')).has(anchor)) return `${target} has no heading #${anchor}`
  return undefined
}
