import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from 'node:child_process'
import { chmodSync, lchownSync, readdirSync, readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import { EmbeddedPostgresError } from './embedded-error.ts'

/*
 * PostgreSQL refuses to run as root, and containers and lab machines run us as root. Two ways out:
 * - a user namespace in which root is shown as another user. Files stay root's, so any folder will do;
 * - where such namespaces are forbidden (many containers), a real unprivileged user. It must own the cluster and be able to
 *   walk to it and to the programs.
 * A cluster that already belongs to a user is always run as that user.
 */

export type RunAs =
  | { kind: 'self' }
  | { kind: 'user-namespace'; uid: number }
  | { kind: 'user'; uid: number; gid: number; name: string }

export type RootMode = RunAs['kind'] | 'auto'

/** `cluster` is the folder of an existing cluster, if there is one. */
export function chooseRunAs(postgres: string, cluster: string | undefined, mode: RootMode = 'auto'): RunAs {
  const self = process.getuid?.() ?? 0
  const owner = cluster === undefined ? self : statSync(cluster).uid
  if (self !== 0) {
    if (owner === self) return { kind: 'self' }
    throw new EmbeddedPostgresError(
      'data_folder_unusable',
      `The database folder ${cluster} belongs to user ${owner} and this program runs as user ${self}. Run it as that user, or choose another DATA_DIR.`,
    )
  }
  const users = unprivilegedUsers()
  if (owner !== 0) {
    const known = users.find((one) => one.uid === owner)
    if (known) return { kind: 'user', ...known }
    throw new EmbeddedPostgresError(
      'data_folder_unusable',
      `The database folder ${cluster} belongs to user ${owner}, who does not exist here.`,
    )
  }
  const shown = users.find((one) => one.name === 'nobody') ?? users[0]
  if (!shown)
    throw new EmbeddedPostgresError('data_folder_unusable', 'PostgreSQL cannot run as root and /etc/passwd has no other user.')
  if (mode !== 'user' && canUseNamespace(postgres, shown.uid)) return { kind: 'user-namespace', uid: shown.uid }
  return { kind: 'user', ...(users.find((one) => one.name === 'postgres') ?? shown) }
}

/** Gives files to the user who will run PostgreSQL; nothing to do for the other two ways. */
export function giveTo(runAs: RunAs, folder: string): void {
  if (runAs.kind !== 'user') return
  lchownSync(folder, runAs.uid, runAs.gid)
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const full = path.join(folder, entry.name)
    if (entry.isDirectory()) giveTo(runAs, full)
    else lchownSync(full, runAs.uid, runAs.gid)
  }
}

/** Opens our own folder to the user for walking through, and says which folder above it, or above the programs, is closed. */
export function openWay(runAs: RunAs, dataFolder: string, postgres: string): void {
  if (runAs.kind !== 'user') return
  chmodSync(dataFolder, 0o711)
  for (const target of [dataFolder, path.dirname(postgres)]) {
    for (let folder = target; folder !== path.dirname(folder); folder = path.dirname(folder)) {
      const { mode, uid, gid } = statSync(folder)
      const may = uid === runAs.uid ? mode & 0o100 : gid === runAs.gid ? mode & 0o010 : mode & 0o001
      if (may !== 0) continue
      throw new EmbeddedPostgresError(
        'data_folder_unusable',
        `PostgreSQL cannot run as root. It would run as user ${runAs.name}, who cannot enter ${folder} on the way to ${target}. ` +
          'Choose a DATA_DIR that others can enter (and install outside such folders), run this program as a normal user, or set DATABASE_URL.',
      )
    }
  }
}

/** As good as empty on purpose: no PG* variable steers PostgreSQL and no secret of ours reaches it. */
export const postgresEnvironment = { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' }

/** Starts a PostgreSQL program. */
export function spawnAs(runAs: RunAs, file: string, args: string[], options: SpawnOptions): ChildProcess {
  const env = postgresEnvironment
  if (runAs.kind === 'user-namespace') return spawn('unshare', [...namespaceArgs(runAs.uid), file, ...args], { ...options, env })
  if (runAs.kind === 'user') return spawn(file, args, { ...options, env, uid: runAs.uid, gid: runAs.gid })
  return spawn(file, args, { ...options, env })
}

const namespaceArgs = (uid: number): string[] => ['--user', `--map-user=${uid}`, `--map-group=${uid}`, '--']

function canUseNamespace(postgres: string, uid: number): boolean {
  const tried = spawnSync('unshare', [...namespaceArgs(uid), postgres, '--version'], { timeout: 10_000, stdio: 'ignore' })
  return tried.status === 0
}

function unprivilegedUsers(): { name: string; uid: number; gid: number }[] {
  return readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .map(([name = '', , uid, gid]) => ({ name, uid: Number(uid), gid: Number(gid) }))
    .filter((one) => one.name !== '' && Number.isInteger(one.uid) && Number.isInteger(one.gid) && one.uid !== 0)
}
