import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import path from 'node:path'

/** Source and compiled files lie in the same places below `src` and `dist`. */
const isSource = import.meta.filename.endsWith('.ts')
const extension = isSource ? '.ts' : '.js'
const hostFolder = path.resolve(import.meta.dirname, '../../../backend_host', isSource ? 'src' : 'dist')

const files = {
  server: path.resolve(import.meta.dirname, `../main${extension}`),
  host: path.join(hostFolder, `main${extension}`),
  maintenance: path.resolve(import.meta.dirname, `../maintenance/main${extension}`),
}
export type ProgramName = keyof typeof files

/** Starts another program of the product, the way this one was started. */
export function spawnProgram(name: ProgramName, options: SpawnOptions, nodeArguments: readonly string[] = []): ChildProcess {
  return spawn(process.execPath, [...process.execArgv, ...nodeArguments, files[name]], options)
}

/** A file of this folder as an address that Node can import. */
export const ownModule = (name: string): string => new URL(`${name}${extension}`, import.meta.url).href
