import { constants, type Dirent } from 'node:fs'
import { access, lstat, open, readdir, realpath } from 'node:fs/promises'
import path from 'node:path'
import { type HostScript, LabError, parseScriptArgs, ScriptName } from '@virtualpytest/shared'
import type { FastifyBaseLogger } from 'fastify'

const interpretedExtensions = new Set(['.ts', '.js', '.mjs', '.py', '.sh'])
const ignoredFolders = new Set(['node_modules', '__pycache__'])
/** Declarations and a description stand at the top of a script. */
const headBytes = 64 * 1024
const mostScripts = 2000

export interface ScriptFile {
  /** As lists show it: Python without `.py`, others with their extension. */
  name: string
  file: string
}

/**
 * Scripts of the folder and of its direct sub-folders: files of a known language and other executable files. Links are
 * left out everywhere, so that a name can never mean a file outside of the folder.
 */
export async function listScriptFiles(root: string): Promise<ScriptFile[]> {
  const found: ScriptFile[] = []
  const top = await entriesOf(root)
  for (const entry of top) {
    if (entry.isDirectory() && !ignoredFolders.has(entry.name)) {
      for (const inner of await entriesOf(path.join(root, entry.name))) {
        if (await isScript(path.join(root, entry.name, inner.name), inner))
          found.push(nameOf(root, `${entry.name}/${inner.name}`))
      }
    } else if (await isScript(path.join(root, entry.name), entry)) found.push(nameOf(root, entry.name))
  }
  const byName = new Map<string, ScriptFile>()
  for (const script of found) {
    if (!ScriptName.safeParse(script.name).success) continue
    // `walk` and `walk.py` have one name: the Python file has it, as on original hosts.
    if (!byName.has(script.name) || script.file.endsWith('.py')) byName.set(script.name, script)
  }
  return [...byName.values()].sort((one, other) => (one.name < other.name ? -1 : 1)).slice(0, mostScripts)
}

async function entriesOf(folder: string): Promise<Dirent[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR' || error.code === 'EACCES') return []
    throw error
  })
  return entries.filter((entry) => !entry.name.startsWith('.'))
}

async function isScript(file: string, entry: Dirent): Promise<boolean> {
  if (!entry.isFile() || entry.name === '__init__.py' || /\.(d|test)\.ts$/.test(entry.name)) return false
  return interpretedExtensions.has(path.extname(entry.name)) || isExecutable(file)
}

const isExecutable = (file: string): Promise<boolean> =>
  access(file, constants.X_OK).then(
    () => true,
    () => false,
  )

const nameOf = (root: string, relative: string): ScriptFile => ({
  name: relative.replace(/\.py$/, ''),
  file: path.join(root, relative),
})

/** The file a name from outside means. Throws script_not_found for anything that is not one of the listed scripts. */
export async function findScript(root: string, scriptName: string): Promise<ScriptFile> {
  const missing = new LabError('script_not_found', { text: 'This host has no such script.' })
  if (!ScriptName.safeParse(scriptName).success) throw missing
  const wanted = scriptName.replace(/\.py$/, '')
  const script = (await listScriptFiles(root)).find((one) => one.name === wanted || one.name === scriptName)
  if (!script) throw missing
  // The list has no links; this catches one that was put there since.
  const base = await realpath(root)
  const real = await realpath(script.file).catch(() => undefined)
  if (real !== path.join(base, path.relative(root, script.file)) || !(await lstat(script.file)).isFile()) throw missing
  return script
}

/** What the host announces: names, first comment, declared parameters. A file that cannot be read is announced without them. */
export async function describeScripts(root: string, log: FastifyBaseLogger): Promise<HostScript[]> {
  const scripts: HostScript[] = []
  for (const { name, file } of await listScriptFiles(root)) {
    const source = await readHead(file).catch((error: unknown) => {
      log.warn({ err: error, script: name }, 'script cannot be read')
      return ''
    })
    const isText = !source.includes('\0')
    const description = isText ? describe(source) : undefined
    scripts.push({ name, ...(description && { description }), parameters: isText ? parseScriptArgs(source).slice(0, 200) : [] })
  }
  return scripts
}

/** Changes whenever a script is added, removed, renamed or written. */
export async function scriptsFingerprint(root: string): Promise<string> {
  const files = await listScriptFiles(root)
  const parts = await Promise.all(
    files.map(async ({ name, file }) => {
      const { mtimeMs, size } = await lstat(file).catch(() => ({ mtimeMs: 0, size: 0 }))
      return `${name}:${mtimeMs}:${size}`
    }),
  )
  return parts.join('\n')
}

async function readHead(file: string): Promise<string> {
  const handle = await open(file, 'r')
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(headBytes), 0, headBytes, 0)
    return buffer.toString('utf8', 0, bytesRead)
  } finally {
    await handle.close()
  }
}

/** First sentence-like line of the comment or docstring at the top of a script. */
function describe(source: string): string | undefined {
  for (const line of source.split(/\r?\n/, 20)) {
    if (line.startsWith('#!') || /^\s*$/.test(line) || /^(import|from|export)\b/.test(line)) continue
    const text = /^\s*(?:\/\*\*?|\/\/+|\*+|#+|"""|''')\s*(.*?)\s*(?:\*\/|"""|''')?\s*$/.exec(line)?.[1]
    if (text === undefined) return undefined
    if (/[\p{L}\p{N}]/u.test(text) && !/coding[:=]/.test(text)) return text.slice(0, 500)
  }
  return undefined
}
