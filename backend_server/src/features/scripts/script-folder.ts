import { readdir, readFile, realpath } from 'node:fs/promises'
import path from 'node:path'
import { parseScriptArgs, ScriptName, type ScriptParameter } from '@virtualpytest/shared'

const extensions = new Set(['.py', '.ts', '.js', '.mjs', '.sh'])

/** Names of the scripts in a folder and its sub-folders, one level deep: Python without `.py`, others with extension. */
export async function listScripts(folder: string): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  const root = await realpath(folder).catch(() => undefined)
  if (root === undefined) return found
  for (const entry of await readdir(root, { withFileTypes: true })) {
    if (entry.isFile()) addScript(found, '', root, entry.name)
    if (!entry.isDirectory() || entry.name.startsWith('.')) continue
    // A folder that cannot be read, or is gone meanwhile, must not hide the others.
    for (const inner of await readdir(path.join(root, entry.name), { withFileTypes: true }).catch(() => [])) {
      if (inner.isFile()) addScript(found, `${entry.name}/`, path.join(root, entry.name), inner.name)
    }
  }
  return new Map([...found].sort(([one], [other]) => one.localeCompare(other)))
}

function addScript(found: Map<string, string>, prefix: string, folder: string, file: string): void {
  const extension = path.extname(file)
  if (!extensions.has(extension) || file.endsWith('.test.ts') || file.startsWith('_')) return
  const name = `${prefix}${extension === '.py' ? file.slice(0, -3) : file}`
  if (ScriptName.safeParse(name).success) found.set(name, path.join(folder, file))
}

/** Parameters a listed script declares; undefined when the list has no such name. */
export async function analyzeScript(folder: string, name: string): Promise<ScriptParameter[] | undefined> {
  const file = (await listScripts(folder)).get(name)
  return file === undefined ? undefined : parseScriptArgs(await readFile(file, 'utf8'))
}
