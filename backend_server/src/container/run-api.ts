import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import vm from 'node:vm'
import { letYoungGenerationGrow } from '../young-generation.ts'

// The server in the container: its bundle, run with the code that V8 compiled when the image was built. Node's own cache of
// compiled code has a folder for each user number and wants to write; this needs neither.

const file = path.resolve(import.meta.dirname, '../bundle/api.cjs')
const cacheFile = `${file}.cache`

/** V8 refuses a cache of another version or of other flags, and compiles then: the start takes longer, nothing else. */
function readCache(): Buffer | undefined {
  try {
    return readFileSync(cacheFile)
  } catch {
    return undefined
  }
}

const cachedData = readCache()
const script = new vm.Script(`(function (exports, require, module, __filename, __dirname) {${readFileSync(file, 'latin1')}\n})`, {
  filename: file,
  ...(cachedData && { cachedData }),
  importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
})
if (process.argv.includes('--say-code-cache'))
  process.stderr.write(`code cache used: ${cachedData !== undefined && script.cachedDataRejected === false}\n`)
// The build of the image runs the server once, so that what a start needs is compiled.
if (process.argv.includes('--write-code-cache'))
  process.on('exit', () => {
    // V8 notes all its flags in the cache: what the server changed must be again what it is when the cache is read.
    letYoungGenerationGrow()
    writeFileSync(cacheFile, script.createCachedData())
  })

const run = script.runInThisContext() as (...names: unknown[]) => void
const module = { exports: {} }
run(module.exports, createRequire(file), module, file, path.dirname(file))
