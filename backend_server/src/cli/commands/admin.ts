import { type ApiToken, hostRoutes, Role, teamRoutes, tokenRoutes } from '@virtualpytest/shared'
import { type Command, Option } from 'commander'
import { createApiClient } from '../api-client.ts'
import { readCliConfig } from '../config.ts'
import { note, paint, say, sayJson, sayTable } from '../terminal.ts'
import { showTime } from '../units.ts'
import { examples, wholeNumber } from './options.ts'

interface Json {
  json?: boolean
}

export function addTokenCommands(program: Command): void {
  const token = program
    .command('token')
    .summary('make, list and revoke API tokens')
    .description('API tokens: how people and programs identify themselves. Needs an admin token.')

  token
    .command('create')
    .description('Makes a token. Its secret is printed on standard output, this once.')
    .argument('<name>', 'who or what will use it')
    .addOption(
      new Option('--role <role>', 'viewer reads; tester also runs; admin also manages').choices(Role.options).default('tester'),
    )
    .option('--days <number>', 'how long it is valid', wholeNumber(1, 3650), 365)
    .option('--json', 'print JSON')
    .addHelpText('after', examples('vpt token create ci --role tester --days 90', 'export VPT_TOKEN=$(vpt token create laptop)'))
    .action(async (name: string, { role, days, json }: Json & { role: Role; days: number }) => {
      const answer = await createApiClient(readCliConfig()).call(tokenRoutes.create, {
        body: { name, role, expires_in_days: days },
      })
      if (json) {
        sayJson(answer)
        return
      }
      note(
        paint(
          'dim',
          `Token "${name}" (${role}), valid until ${showTime(answer.details.expires_at)}. It is shown only now; use it as VPT_TOKEN.`,
          process.stderr,
        ),
      )
      say(answer.token)
    })

  token
    .command('list')
    .description('Lists the tokens of the team, without their secrets.')
    .option('--json', 'print JSON')
    .action(async ({ json }: Json) => {
      const answer = await createApiClient(readCliConfig()).call(tokenRoutes.list)
      if (json) sayJson(answer)
      else sayTable(answer.tokens, tokenColumns, 'There is no token yet.')
    })

  token
    .command('revoke')
    .description('Revokes a token at once.')
    .argument('<id>', 'id of the token, as vpt token list shows it')
    .option('--json', 'print JSON')
    .addHelpText('after', examples('vpt token revoke 0b6c1d52-6f6e-4a39-9f0e-1d3c7b0a5f11'))
    .action(async (id: string, { json }: Json) => {
      const answer = await createApiClient(readCliConfig()).call(tokenRoutes.revoke, { params: { token_id: id } })
      if (json) sayJson(answer)
      else say(`Revoked ${answer.details.name}.`)
    })
}

const tokenColumns = [
  { title: 'ID', value: (token: ApiToken) => token.id },
  { title: 'NAME', value: (token: ApiToken) => token.name },
  { title: 'ROLE', value: (token: ApiToken) => token.role },
  {
    title: 'STATE',
    value: stateOf,
    style: (token: ApiToken) => (stateOf(token) === 'valid' ? ('green' as const) : ('red' as const)),
  },
  { title: 'EXPIRES', value: (token: ApiToken) => showTime(token.expires_at) },
  { title: 'LAST USED', value: (token: ApiToken) => (token.last_used_at === null ? 'never' : showTime(token.last_used_at)) },
]

function stateOf(token: ApiToken): string {
  if (token.revoked_at !== null) return 'revoked'
  return Date.parse(token.expires_at) < Date.now() ? 'expired' : 'valid'
}

export function addHostAddCommand(host: Command): void {
  host
    .command('add')
    .description('Makes a host known to the server before it registers, and prints its own key, this once. Needs an admin token.')
    .argument('<name>', 'name of the host, its HOST_NAME')
    .option('--json', 'print JSON')
    .addHelpText('after', examples('vpt host add rack-3'))
    .action(async (name: string, { json }: Json) => {
      const api = createApiClient(readCliConfig())
      const answer = await api.call(hostRoutes.addHost, { body: { host_name: name } })
      if (json) {
        sayJson(answer)
        return
      }
      note(
        paint(
          'dim',
          'On the machine beside the devices, set this and start: npm run host (the key is shown only now)',
          process.stderr,
        ),
      )
      say(`SERVER_URL=${api.server}`)
      say(`HOST_NAME=${shellWord(answer.host_name)}`)
      say(`API_KEY=${answer.key}`)
      note(paint('dim', 'Devices: DEVICE1_NAME, DEVICE1_MODEL and so on, see docs/settings.md', process.stderr))
    })
}

const shellWord = (text: string): string => (/^[\w.-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`)

export function addTeamCommands(program: Command): void {
  const team = program
    .command('team')
    .summary('make and list teams')
    .description('Teams: nothing of one team can be reached by another.')

  team
    .command('create')
    .description('Makes a team. Needs an admin token of the default team.')
    .argument('<name>', 'name of the team')
    .option('--description <text>', 'what it is for')
    .option('--json', 'print JSON')
    .addHelpText('after', examples('vpt team create "TV apps"'))
    .action(async (name: string, { description, json }: Json & { description?: string }) => {
      const created = await createApiClient(readCliConfig()).call(teamRoutes.create, {
        body: { name, ...(description !== undefined && { description }) },
      })
      if (json) sayJson(created)
      else {
        if (created.admin_token === null) {
          note(paint('dim', `Team "${name}". Act for it with VPT_TEAM, where the server asks for no token:`, process.stderr))
          say(created.id)
        } else {
          note(
            paint(
              'dim',
              `Team "${name}" (${created.id}). Its first admin token, valid 30 days and shown only now:`,
              process.stderr,
            ),
          )
          say(created.admin_token)
        }
      }
    })

  team
    .command('list')
    .description('Lists the teams you may see.')
    .option('--json', 'print JSON')
    .action(async ({ json }: Json) => {
      const teams = await createApiClient(readCliConfig()).call(teamRoutes.list)
      if (json) sayJson(teams)
      else
        sayTable(
          teams,
          [
            { title: 'ID', value: (one) => one.id },
            { title: 'NAME', value: (one) => one.name },
            { title: 'ABOUT', value: (one) => one.description ?? '' },
          ],
          'There is no team.',
        )
    })
}
