// Bundles the programs that every start of the container waits for, from their compiled JavaScript: see docs/adr/0032.
//
//   dist/bundle/api.cjs                    the server, one file; dist/container/run-api.js runs it with its code cache
//   dist/bundle/{prepare,postgres}.cjs     and the parts that they load when they need them
//
// Nothing is minified: names and line breaks stay for whoever reads a stack trace, and `//#region` names the module.
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type OutputOptions, type Plugin, rolldown } from 'rolldown'

const folderName = 'bundle'
/** Optional companions of packages, which are not installed. */
const absent = ['pg-native', 'bufferutil', 'utf-8-validate']

export async function bundlePrograms(dist: string): Promise<void> {
  const at = (file: string): string => path.join(dist, file)
  await bundle(dist, { api: at('main.js') }, { codeSplitting: false })
  await bundle(dist, { prepare: at('container/main.js'), postgres: at('db/embedded/main.js') }, {})
}

async function bundle(dist: string, input: Record<string, string>, options: OutputOptions): Promise<void> {
  const build = await rolldown({
    cwd: dist,
    input,
    platform: 'node',
    external: absent,
    plugins: [keepPlaces(dist), agentOfUndici],
    onLog(_level, { code, message }) {
      if (code !== 'CIRCULAR_DEPENDENCY' && code !== 'EVAL') throw new Error(`bundling: ${message}`)
    },
  })
  const { output } = await build.write({
    ...options,
    dir: path.join(dist, folderName),
    format: 'cjs',
    entryFileNames: '[name].cjs',
    chunkFileNames: '[name]-[hash].cjs',
    comments: { legal: false, annotation: false, jsdoc: false },
  })
  await build.close()
  for (const { fileName } of output) asciiOnly(path.join(dist, folderName, fileName))
}

/** Modules find files from where they are; in the bundle that means: from where they were. */
function keepPlaces(dist: string): Plugin {
  return {
    name: 'keep-places',
    transform(code, id) {
      if (!code.includes('import.meta')) return null
      const place = JSON.stringify(path.relative(path.join(dist, folderName), id))
      const file = `require('node:path').join(__dirname, ${place})`
      const meanings: [RegExp, string][] = [
        [/\bimport\.meta\.dirname\b/g, `require('node:path').dirname(${file})`],
        [/\bimport\.meta\.filename\b/g, file],
        [/\bimport\.meta\.url\b/g, `require('node:url').pathToFileURL(${file}).href`],
        [
          /\bimport\.meta\.resolve\b/g,
          `((name) => require('node:url').pathToFileURL(require('node:module').createRequire(${file}).resolve(name)).href)`,
        ],
      ]
      return meanings.reduce((text, [pattern, meaning]) => text.replace(pattern, meaning), code)
    },
  }
}

/** Its index loads everything that undici has, a quarter of the bundle; the server uses one class of it. */
const agentOfUndici: Plugin = {
  name: 'agent-of-undici',
  resolveId: (name) => (name === 'undici' ? '\0undici' : null),
  // Whoever imports anything else of it learns so when this is built.
  load: (id) => (id === '\0undici' ? "export { default as Agent } from 'undici/lib/dispatcher/agent.js'" : null),
}

/** V8 keeps a text with a single letter beyond Latin-1 in two bytes for each letter. */
function asciiOnly(file: string): void {
  const code = readFileSync(file, 'utf8')
  const inAscii = (letter: string): string => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`
  writeFileSync(file, code.replace(/[^\0-\x7f]/g, inAscii))
}
