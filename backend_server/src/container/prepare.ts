import { chownSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Config } from '../config.ts'
import { embeddedPostgresPort } from '../platform-rules.ts'
import { ensureFolder, findOwner, giveAll, type Owner } from './folders.ts'
import { programsOf, supervisorConfig } from './supervisor-config.ts'

/*
 * Everything a start of the container needs before its first program: folders with their owners, the supervisor's and nginx's
 * configuration, the URL of the embedded database. Written anew at each start into the run folder, which is never mounted from
 * outside; running it again gives the same files.
 */

export interface Surroundings {
  /** Folder of the product: /app. */
  appDir: string
  runDir: string
  logDir: string
  isRoot: boolean
  grafana: boolean
}

/** What the entrypoint must know of this start; it reads it from container.json in the run folder. */
export interface Plan {
  entry_port: number
  required: string[]
  optional: string[]
  /** Lock of the embedded database, which process 1 keeps alive. */
  database_lock: string
}

/** Of the PostgreSQL service in compose.yaml, which shares the volume and has users of its own. */
export const composePostgresFolder = 'postgres-service'

const grafanaBinaries = ['/usr/share/grafana/bin/grafana', '/usr/share/grafana/bin/grafana-server']

/** `embedded` asks for Grafana; an image built without it runs without it. */
export const hasGrafana = (mode: string | undefined, binary: string | undefined): boolean =>
  mode === 'embedded' && [...(binary ? [binary] : []), ...grafanaBinaries].some((file) => existsSync(file))

export async function prepareContainer(config: Config, around: Surroundings): Promise<Plan> {
  const { appDir, runDir, logDir, isRoot } = around
  const configDir = path.join(appDir, 'backend_server/config')
  const isNginx = config.topology === 'nginx'
  const isEmbedded = config.databaseUrl === undefined
  const api = findOwner('vptuser', isRoot)

  ensureFolder(runDir, findOwner('root', isRoot), 0o711)
  ensureFolder(logDir, findOwner('root', isRoot), 0o755)
  ensureFolder(config.dataDir, api, 0o755, [composePostgresFolder])
  nameThisUser(runDir)

  const name = isNginx ? 'supervisord.conf' : 'supervisord-no-nginx.conf'
  const template = readFileSync(path.join(configDir, 'supervisor', name), 'utf8')
  const isWanted: Record<string, boolean> = { api: true, nginx: isNginx, postgres: isEmbedded, grafana: around.grafana }
  const programs = programsOf(template).filter((program) => isWanted[program])
  const embeddedUrl = isEmbedded ? await handOverDatabase(config.dataDir, runDir, findOwner('postgres', isRoot), api) : ''
  if (around.grafana)
    await prepareGrafana({
      config,
      databaseUrl: config.databaseUrl ?? embeddedUrl,
      publicUrl: config.serverUrl ?? `http://localhost:${isNginx ? config.nginxPort : config.serverPort}`,
      folder: path.join(configDir, 'grafana'),
      runDir,
      owner: findOwner('grafana', isRoot),
      api,
    })
  if (isNginx) await prepareNginx(configDir, runDir, config.nginxPort, isRoot)
  write(
    path.join(runDir, 'supervisord.conf'),
    supervisorConfig(template, {
      programs: new Set(programs),
      isRoot,
      apiPort: isNginx ? undefined : config.serverPort,
      nginxStartsAsRoot: config.nginxPort < 1024,
      apiEnvFile: isEmbedded ? apiEnvFile(runDir) : undefined,
    }),
    0o644,
  )
  const plan = {
    entry_port: isNginx ? config.nginxPort : config.serverPort,
    required: programs.filter((program) => program !== 'grafana'),
    optional: programs.filter((program) => program === 'grafana'),
    database_lock: path.join(config.dataDir, 'postgres/owner.lock'),
  }
  write(path.join(runDir, 'container.json'), `${JSON.stringify(plan)}\n`, 0o644)
  return plan
}

/**
 * Platforms start containers under user numbers that no image knows, and PostgreSQL makes no cluster for a user without a name.
 * The image looks for users in this file too.
 */
function nameThisUser(runDir: string): void {
  const uid = process.getuid?.() ?? 0
  const isKnown = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .some((line) => line.split(':')[2] === String(uid))
  const line = `container:x:${uid}:${process.getgid?.() ?? uid}::/app:/usr/sbin/nologin\n`
  write(path.join(runDir, 'passwd'), isKnown ? '' : line, 0o644)
}

const apiEnvFile = (runDir: string): string => path.join(runDir, 'api.env')

/** The API finds its URL in a file that only it reads: arguments and the environment of other programs are no place for it. */
async function handOverDatabase(dataDir: string, runDir: string, postgres: Owner, api: Owner): Promise<string> {
  const folder = path.join(dataDir, 'postgres')
  ensureFolder(folder, postgres, 0o700)
  // Loaded here, as below: what a start does not need it does not wait for.
  const { embeddedDatabaseUrl } = await import('../db/embedded/embedded-url.ts')
  const url = embeddedDatabaseUrl(folder, embeddedPostgresPort)
  for (const entry of postgres ? readdirSync(folder) : [])
    if (postgres && entry.startsWith('credentials.')) chownSync(path.join(folder, entry), postgres.uid, postgres.gid)
  write(apiEnvFile(runDir), `DATABASE_URL=${url}\n`, 0o600, api)
  return url
}

async function prepareNginx(configDir: string, runDir: string, port: number, isRoot: boolean): Promise<void> {
  // It brings the whole contract along.
  const { nginxConfig } = await import('./nginx-config.ts')
  const workers = findOwner('www-data', isRoot)
  for (const folder of ['', 'body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'])
    ensureFolder(path.join(runDir, 'nginx', folder), workers, 0o700)
  const template = readFileSync(path.join(configDir, 'nginx/nginx.conf.template'), 'utf8')
  const workerUser = isRoot && port < 1024 ? 'www-data' : undefined
  write(path.join(runDir, 'nginx.conf'), nginxConfig(template, { port, runDir, workerUser }), 0o644)
}

interface GrafanaStart {
  config: Config
  databaseUrl: string
  publicUrl: string
  /** Of the installed grafana.ini. */
  folder: string
  runDir: string
  owner: Owner
  api: Owner
}

/** Its installed grafana.ini stays as it is; what depends on this start comes as variables that only Grafana gets. */
async function prepareGrafana({ config, databaseUrl, publicUrl, folder, runDir, owner, api }: GrafanaStart): Promise<void> {
  for (const name of ['data', 'data/log', 'data/plugins', 'data/png', 'data/csv', 'data/pdf', 'data/sessions'])
    ensureFolder(path.join(folder, name), owner, 0o750)
  const { configureGrafana } = await import('../features/dashboards/index.ts')
  const secretsFolder = path.join(config.dataDir, 'grafana')
  const generated = path.join(runDir, 'grafana')
  ensureFolder(generated, owner, 0o750)
  const { env } = configureGrafana({
    secretsFolder,
    configFile: path.join(generated, 'grafana.ini'),
    dataFolder: path.join(folder, 'data'),
    provisioningFolder: path.join(generated, 'provisioning'),
    databaseUrl,
    port: config.grafanaPort,
    secretKey: config.grafanaSecretKey,
    publicUrl,
    frameOrigins: config.corsOrigins,
  })
  giveAll(generated, owner)
  giveAll(secretsFolder, api)
  const variables = Object.entries(env).filter(([name]) => name !== 'GF_PATHS_CONFIG')
  write(path.join(runDir, 'grafana.env.json'), `${JSON.stringify(Object.fromEntries(variables))}\n`, 0o600, owner)
}

/** Complete under its name or not at all, and never readable for more people than it will be. */
function write(file: string, text: string, mode: number, owner?: Owner): void {
  const draft = `${file}.draft`
  rmSync(draft, { force: true })
  writeFileSync(draft, text, { mode })
  if (owner) chownSync(draft, owner.uid, owner.gid)
  renameSync(draft, file)
}
