/** Any setting of Grafana can be given as GF_<SECTION>_<KEY> and then counts more than its file, so doors are looked at here. */

const factoryPassword = 'admin'
const factorySigningKey = 'SW2YcwTIb9zpOOhoPsMm'
/** Written by this server, because its sign-on depends on them. */
const ownedHere = /^GF_(AUTH_PROXY_|AUTH_JWT_|AUTH_DISABLE_LOGIN_FORM$|AUTH_BASIC_|USERS_AUTO_ASSIGN_|SERVER_HTTP_ADDR$)/

/** Problems of the environment as far as Grafana is concerned: names and rules, never values (S97). */
export function grafanaEnvironmentProblems(
  env: Record<string, string | undefined>,
  options: { authMode: 'open' | 'required' },
): string[] {
  const problems: string[] = []
  const isOn = (name: string): boolean => /^(true|1|t|yes|on)$/i.test(env[name]?.trim() ?? '')
  if (env.GF_SECURITY_ADMIN_PASSWORD?.trim() === factoryPassword)
    problems.push('GF_SECURITY_ADMIN_PASSWORD must not be the factory password; leave it out, a random one is made')
  if (env.GF_SECURITY_SECRET_KEY?.trim() === factorySigningKey)
    problems.push('GF_SECURITY_SECRET_KEY must not be the factory key; leave it out, a random one is made and kept')
  if (options.authMode === 'required' && isOn('GF_AUTH_ANONYMOUS_ENABLED'))
    problems.push('GF_AUTH_ANONYMOUS_ENABLED must not be true while AUTH_MODE is required')
  for (const name of Object.keys(env).sort()) {
    if (ownedHere.test(name) && env[name]?.trim()) problems.push(`${name} must not be set: this server sets it for its sign-on`)
  }
  const rootUrl = env.GF_SERVER_ROOT_URL?.trim()
  if (rootUrl && !rootUrl.endsWith('/grafana/')) problems.push('GF_SERVER_ROOT_URL must end with /grafana/')
  if (env.GF_SERVER_SERVE_FROM_SUB_PATH?.trim() && !isOn('GF_SERVER_SERVE_FROM_SUB_PATH'))
    problems.push('GF_SERVER_SERVE_FROM_SUB_PATH must be true')
  return problems
}
