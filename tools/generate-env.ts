// env.example and docs/settings.md, from the tables of settings that the programs read at start.
import { isAbsolute, relative } from 'node:path'
import { deviceSettings, settings as hostSettings } from '../backend_host/src/config.ts'
import { settings as serverSettings } from '../backend_server/src/config.ts'
import { repositoryRoot } from './files.ts'
import { escapeCell } from './markdown.ts'

interface SettingRow {
  env: string
  fallback?: string
  required?: boolean
  says: string
  doc: string
  secret?: boolean
}

interface Section {
  title: string
  about: string
  rows: SettingRow[]
}

const sections: Section[] = [
  { title: 'Server', about: 'Read by `npm start` and `npm run server`.', rows: Object.values(serverSettings) },
  {
    title: 'Host agent',
    about:
      'Read by `npm run host`, a program of its own, mostly on another machine. Some names mean its own value of a setting of the server.',
    rows: Object.values(hostSettings),
  },
  {
    title: 'Devices of a host',
    about: 'One group for each device of the host: DEVICE1_ to DEVICE12_.',
    rows: Object.values(deviceSettings).map((row: SettingRow) => ({ ...row, env: `DEVICE1_${row.env}` })),
  },
]

/** A folder of this checkout must not appear in the generated files as the folder of whoever generated them. */
const portable = (value: string) => (isAbsolute(value) ? `./${relative(repositoryRoot, value)}` : value)

function exampleOf({ title, about, rows }: Section): string {
  const lines = rows.map((row) => {
    const kind = [row.required ? 'required' : '', row.secret ? 'secret' : ''].filter(Boolean).map((word) => `, ${word}`)
    return `# ${row.doc}\n# Value: ${row.says}${kind.join('')}.\n# ${row.env}=${portable(row.fallback ?? '')}\n`
  })
  return `# ${'-'.repeat(20)} ${title}: ${about.replaceAll('`', '')}\n\n${lines.join('\n')}`
}

function documentOf({ title, about, rows }: Section): string {
  const lines = rows.map((row) => {
    const value = row.fallback === undefined || row.fallback === '' ? '' : `\`${escapeCell(portable(row.fallback))}\``
    const doc = `${row.doc}${row.secret ? ' Secret.' : ''}`
    return `| \`${row.env}\` | ${escapeCell(row.says)} | ${row.required ? 'required' : value} | ${escapeCell(doc)} |`
  })
  return `## ${title}\n\n${about}\n\n| Name | Value | Default | Meaning |\n|---|---|---|---|\n${lines.join('\n')}\n`
}

export async function generate(): Promise<Record<string, string>> {
  const example = `# Settings come from the environment; everything below is optional unless it says otherwise.
# Written by tools/generate-env.ts from the config.ts of each program; docs/settings.md says the same as a table.

${sections.map(exampleOf).join('\n')}`
  const document = `# Settings

<!-- Written by tools/generate-env.ts from backend_server/src/config.ts and backend_host/src/config.ts. -->

Settings come from the environment. A program reads them once at start, reports all problems together, by name and never by
value, and does not start with a value it cannot use. An empty variable counts as an absent one.

${sections.map(documentOf).join('\n')}`
  return { 'env.example': example, 'docs/settings.md': document }
}
