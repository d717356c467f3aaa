import type { Config } from './config.ts'

/** Port of the API behind nginx, and where PostgreSQL of the container listens. Nothing outside the container sees them. */
export const apiPortBehindNginx = 5110
export const embeddedPostgresPort = 5432

const supabaseAdvice =
  'For Supabase, open the project in its dashboard, choose Connect, then Session pooler, copy the connection string ' +
  '(it ends in pooler.supabase.com:5432/postgres) and put the password of the database in the place of [YOUR-PASSWORD].'

type DatabaseSettings = Partial<Pick<Config, 'databaseUrl' | 'embeddedDb' | 'render' | 'supabaseUrl' | 'supabaseAnonKey'>>

/** Nobody may find out after a deploy that the data went to a disk that is gone, or to another database than the wanted one. */
export function databaseProblems(values: DatabaseSettings): string[] {
  const problems: string[] = []
  if ((values.supabaseUrl === undefined) !== (values.supabaseAnonKey === undefined))
    problems.push('NEXT_PUBLIC_SUPABASE_URL and NEXT_PUBLIC_SUPABASE_ANON_KEY belong together: set both or neither')
  if (values.databaseUrl !== undefined) return problems
  if (values.render && values.embeddedDb !== 'ephemeral')
    problems.push(
      'DATABASE_URL must be set when RENDER is true, because files are lost at each deploy there. ' +
        `${supabaseAdvice} If losing all data at each deploy is wanted, set EMBEDDED_DB to ephemeral`,
    )
  else if (values.supabaseUrl !== undefined && values.embeddedDb === undefined)
    problems.push(
      'DATABASE_URL must be set beside NEXT_PUBLIC_SUPABASE_URL: the Supabase URL and key do not open the database. ' +
        `${supabaseAdvice} To use a database below DATA_DIR instead, set EMBEDDED_DB to durable`,
    )
  return problems
}

type PortSettings = Pick<Config, 'render' | 'topology' | 'nginxPort'>

/** A container whose platform asks at another port than the one that answers would be restarted for ever. */
export function portProblems({ render, topology, nginxPort }: PortSettings, env: Record<string, string | undefined>): string[] {
  const [port, serverPort] = [env.PORT?.trim(), env.SERVER_PORT?.trim()]
  if (topology === 'direct')
    return render && port && serverPort && Number(port) !== Number(serverPort)
      ? ['PORT and SERVER_PORT must be the same when RENDER is true, or one of them absent']
      : []
  const name = env.NGINX_PORT?.trim() ? 'NGINX_PORT' : 'PORT'
  if (!Number.isInteger(nginxPort) || nginxPort < 1 || nginxPort > 65_535) return [`${name} must be a port number above 0`]
  if (nginxPort === apiPortBehindNginx) return [`${name} must not be ${apiPortBehindNginx}, the port of the API behind nginx`]
  return []
}
