import type { GrafanaSecrets } from './grafana-secrets.ts'
import { assertionHeader, grafanaRoles, membershipName } from './identity.ts'
import { signOnIssuer } from './sign-on-key.ts'

export interface GrafanaSettingsInput {
  /** Public address of this server, such as https://lab.example.org; only its origin counts. */
  publicUrl: string
  port: number
  dataFolder: string
  provisioningFolder: string
  homeDashboard: string
  secrets: Pick<GrafanaSecrets, 'secretKey' | 'adminPassword'>
  /** The public key of those who may say who somebody is. */
  signOnKeyFile: string
  /** Origins whose pages may show dashboards in frames. */
  frameOrigins: readonly string[]
  /** Live updates over WebSockets. Off, because no dashboard uses them and each viewer would hold a socket. */
  isLive: boolean
}

type Section = Record<string, string | number | boolean>
export type GrafanaSettings = Record<string, Section>

/** Everything about Grafana that is not as it comes. The same settings can be a file or an environment. */
export const grafanaSettings = (input: GrafanaSettingsInput): GrafanaSettings => ({
  ...placeSettings(input),
  ...securitySettings(input),
  ...quietSettings,
})

function placeSettings(input: GrafanaSettingsInput): GrafanaSettings {
  const url = new URL(input.publicUrl)
  return {
    paths: {
      data: input.dataFolder,
      logs: `${input.dataFolder}/log`,
      plugins: `${input.dataFolder}/plugins`,
      provisioning: input.provisioningFolder,
    },
    server: {
      protocol: 'http',
      // Reached through the API only, and never by a name that may resolve to another address family.
      http_addr: '127.0.0.1',
      http_port: input.port,
      domain: url.hostname,
      enforce_domain: false,
      // Every hop keeps the prefix. A request without it would be sent to this address, and one more stripped prefix would
      // make that an endless loop.
      root_url: `${url.origin}/grafana/`,
      serve_from_sub_path: true,
      router_logging: false,
    },
    database: { type: 'sqlite3', wal: true },
    live: input.isLive ? { max_connections: 100, allowed_origins: url.origin } : { max_connections: 0 },
    dashboards: { default_home_dashboard_path: input.homeDashboard, min_refresh_interval: '10s' },
  }
}

function securitySettings(input: GrafanaSettingsInput): GrafanaSettings {
  const isSecure = input.publicUrl.startsWith('https:')
  const isFramed = input.frameOrigins.length > 0
  return {
    security: {
      // People come from the API, which says who they are; a first user of Grafana's own would be one door more.
      disable_initial_admin_creation: true,
      admin_user: 'virtualpytest',
      admin_password: input.secrets.adminPassword,
      secret_key: input.secrets.secretKey,
      disable_gravatar: true,
      cookie_secure: isSecure,
      cookie_samesite: isFramed && isSecure ? 'none' : 'lax',
      // Nobody has a login cookie here, and without one Grafana would not look.
      csrf_always_check: true,
      allow_embedding: isFramed,
      ...(isFramed && { content_security_policy: true, content_security_policy_template: framePolicy(input.frameOrigins) }),
    },
    auth: { disable_login_form: true, disable_signout_menu: true },
    'auth.basic': { enabled: false },
    'auth.anonymous': { enabled: false },
    // A header alone could be sent by anything on this machine, a data source of Grafana's own included; a signature could not.
    'auth.proxy': { enabled: false },
    'auth.jwt': {
      enabled: true,
      header_name: assertionHeader,
      key_file: input.signOnKeyFile,
      expect_claims: JSON.stringify({ iss: signOnIssuer }),
      username_claim: 'login',
      url_login: false,
      auto_sign_up: true,
      // Each request says the one organization and the role in it; all other memberships end with it. Who is in none is refused.
      org_attribute_path: 'orgs',
      org_mapping: organizationMapping(),
      role_attribute_path: 'role',
      role_attribute_strict: true,
      skip_org_role_sync: false,
      // This server makes organizations. People have no `role`.
      allow_assign_grafana_admin: true,
    },
    users: {
      allow_sign_up: false,
      allow_org_create: false,
      auto_assign_org: true,
      auto_assign_org_id: 1,
      auto_assign_org_role: 'Viewer',
    },
    snapshots: { enabled: false, external_enabled: false },
    public_dashboards: { enabled: false },
  }
}

/** Grafana reads it when it starts, before most organizations exist, so it names all there may ever be, by number. */
function organizationMapping(): string {
  const numbers = Array.from({ length: mostOrganizations }, (_, at) => at + 1)
  return numbers.flatMap((number) => grafanaRoles.map((role) => `${membershipName(number, role)}:${number}:${role}`)).join(' ')
}
export const mostOrganizations = 500

/** Grafana's own policy plus the pages that may show it in a frame; X-Frame-Options can name none. */
const framePolicy = (origins: readonly string[]): string =>
  [
    "script-src 'self' 'unsafe-eval' 'unsafe-inline' 'strict-dynamic' $NONCE",
    "object-src 'none'",
    "font-src 'self'",
    "style-src 'self' 'unsafe-inline' blob:",
    'img-src * data:',
    "base-uri 'self'",
    "connect-src 'self' ws://$ROOT_PATH wss://$ROOT_PATH",
    "manifest-src 'self'",
    "media-src 'none'",
    "form-action 'self'",
    `frame-ancestors 'self' ${origins.join(' ')}`,
  ].join(';')

/** Nothing is fetched from or told to the outside, and nothing writes into the small database all the time. */
const quietSettings: GrafanaSettings = {
  analytics: {
    reporting_enabled: false,
    check_for_updates: false,
    check_for_plugin_updates: false,
    feedback_links_enabled: false,
  },
  plugins: { plugin_admin_enabled: false, preinstall_disabled: true },
  unified_alerting: { enabled: false },
  news: { news_feed_enabled: false },
  metrics: { enabled: false },
  log: { mode: 'console', level: 'warn' },
  'log.console': { format: 'json' },
}

/** As GF_<SECTION>_<KEY>, which counts more than any file. */
export function settingsAsEnvironment(settings: GrafanaSettings): Record<string, string> {
  const env: Record<string, string> = {}
  for (const [section, key, value] of entriesOf(settings)) env[`GF_${section}_${key}`.toUpperCase().replace(/[.-]/g, '_')] = value
  return env
}

export function settingsAsIni(settings: GrafanaSettings): string {
  const lines = ['; Written by the server at each start; changes are lost.']
  let last = ''
  for (const [section, key, value] of entriesOf(settings)) {
    if (section !== last) lines.push('', `[${section}]`)
    last = section
    // Quoted where a sign would begin a comment.
    lines.push(`${key} = ${/[;#]/.test(value) ? `"""${value}"""` : value}`)
  }
  return `${lines.join('\n')}\n`
}

function entriesOf(settings: GrafanaSettings): [section: string, key: string, value: string][] {
  const entries = Object.entries(settings).flatMap(([section, keys]) =>
    Object.entries(keys).map(([key, value]): [string, string, string] => [section, key, String(value)]),
  )
  // Texts made here, paths and origins: none has a reason for what Grafana would replace or what would end a line.
  const bad = entries.find(([, , value]) => /[\r\n`]|"""|%\(|\$(__\w+)?\{/.test(value))
  if (bad) throw new Error(`the Grafana setting ${bad[0]}.${bad[1]} has a sign that its configuration cannot hold`)
  return entries
}
