// The files of the repository and the shape of what the checks report about them.
import { readdirSync } from 'node:fs'
import { join, relative } from 'node:path'

export const repositoryRoot = join(import.meta.dirname, '..')

export interface Problem {
  /** Path from the root of the repository. */
  file: string
  line?: number
  text: string
}

export const formatProblem = ({ file, line, text }: Problem) => `${file}${line === undefined ? '' : `:${line}`}  ${text}`

const ignored = new Set(['node_modules', 'dist', 'data', '.git', '.tools'])

/** All files below a folder, as sorted paths from it, without what is installed, compiled or written at run time. */
export function listFiles(root: string, matches: (path: string) => boolean = () => true): string[] {
  const found: string[] = []
  const walk = (folder: string) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      if (ignored.has(entry.name) || entry.name.startsWith('dist.')) continue // dist.*: a build is just being made
      const path = join(folder, entry.name)
      if (entry.isDirectory()) walk(path)
      else if (entry.isFile()) found.push(relative(root, path))
    }
  }
  walk(root)
  return found.filter(matches).sort()
}

export const isSource = (path: string) => /\.(ts|mts|js|mjs)$/.test(path)

export const isTest = (path: string) => path.endsWith('.test.ts') || /(^|\/)test\//.test(path)

/** The number of the line on which an offset of a text lies, counted from 1. */
export const lineAt = (text: string, offset: number) => text.slice(0, offset).split('\n').length
