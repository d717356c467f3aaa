import { formatIni, parseIni } from './ini.ts'

export interface SupervisorChoice {
  /** Programs to run; the others of the template are left out. */
  programs: ReadonlySet<string>
  /** Users can be changed. Otherwise everything runs as whoever started the container. */
  isRoot: boolean
  /** Port of the API where the topology lets the environment choose it. */
  apiPort: number | undefined
  /** nginx on a port below 1024 is started by root and gives its workers another user. */
  nginxStartsAsRoot: boolean
  /** Option of the API's command that hands over the URL of the embedded database. */
  apiEnvFile: string | undefined
}

/** The configuration the supervisor really gets: the installed template with what this container needs, and nothing secret. */
export function supervisorConfig(template: string, choice: SupervisorChoice): string {
  const ini = parseIni(template)
  for (const [title, values] of ini) {
    const program = /^program:(.+)$/.exec(title)?.[1]
    if (program !== undefined && !choice.programs.has(program)) ini.delete(title)
    if (!choice.isRoot) values.delete('user')
  }
  if (choice.isRoot && choice.nginxStartsAsRoot) ini.get('program:nginx')?.set('user', 'root')
  const api = ini.get('program:api')
  if (!api) throw new Error('the supervisor template has no program api')
  if (choice.apiPort !== undefined) api.set('environment', `SERVER_PORT="${choice.apiPort}"`)
  if (choice.apiEnvFile !== undefined)
    api.set('command', (api.get('command') ?? '').replace(/^node /, `node --env-file-if-exists=${choice.apiEnvFile} `))
  return formatIni(ini)
}

/** Programs of a template, which is also the order of their start. */
export const programsOf = (template: string): string[] =>
  [...parseIni(template).keys()].filter((title) => title.startsWith('program:')).map((title) => title.slice('program:'.length))
