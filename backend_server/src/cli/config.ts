import { readFileSync } from 'node:fs'
import { parseTeamId } from '@virtualpytest/shared'
import { CliError } from './cli-error.ts'

export interface CliConfig {
  /** URL of the server, without trailing slash. */
  server: string
  /** VPT_SERVER names it; otherwise it is the usual address. */
  isNamed: boolean
  token: string | undefined
  teamId: string | undefined
}

const defaultServer = 'http://127.0.0.1:10000'

/** Which server the command talks to, and as whom. A token comes from the environment only: arguments are visible to others. */
export function readCliConfig(env: NodeJS.ProcessEnv = process.env): CliConfig {
  const server = (env.VPT_SERVER?.trim() || defaultServer).replace(/\/+$/, '')
  if (!URL.canParse(server) || !/^https?:$/.test(new URL(server).protocol)) {
    throw new CliError('VPT_SERVER must be an http or https URL, such as https://lab.example.org')
  }
  const team = env.VPT_TEAM?.trim()
  const teamId = parseTeamId(team)
  if (team && teamId === undefined) throw new CliError('VPT_TEAM must be the id of a team (a UUID)')
  return { server, isNamed: Boolean(env.VPT_SERVER?.trim()), token: env.VPT_TOKEN?.trim() || undefined, teamId }
}

/** For the programs that this command starts: they read their own settings. */
export const ownEnvironment = (): NodeJS.ProcessEnv => ({ ...process.env })

export function readVersion(): string {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(manifest) as { version: string }).version
}
