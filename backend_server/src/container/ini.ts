/** A supervisor configuration as sections in order; comments are for the readers of the installed file and not kept. */
export type Ini = Map<string, Map<string, string>>

export function parseIni(text: string): Ini {
  const ini: Ini = new Map()
  let section: Map<string, string> | undefined
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trim()
    if (line === '' || line.startsWith(';') || line.startsWith('#')) continue
    const title = /^\[(.+)\]$/.exec(line)?.[1]
    const equals = line.indexOf('=')
    if (title !== undefined) {
      section = new Map()
      ini.set(title, section)
    } else if (section && equals > 0) {
      section.set(line.slice(0, equals).trim(), line.slice(equals + 1).trim())
    } else throw new Error(`line ${index + 1} is neither a section nor a value`)
  }
  return ini
}

export const formatIni = (ini: Ini): string =>
  [...ini].map(([title, values]) => `[${title}]\n${[...values].map(([name, value]) => `${name}=${value}\n`).join('')}`).join('\n')
