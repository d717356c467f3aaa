import { createHmac, randomBytes } from 'node:crypto'
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { defaultTeamId } from '@virtualpytest/shared'
import { z } from 'zod'

const Secrets = z.object({
  /** Tells this installation from others on the same database, such as the one that a deploy is about to end. */
  installation: z.string().regex(/^[0-9a-f]{8}$/),
  /** Grafana encrypts with it what it keeps; the factory key is known to everybody. */
  secretKey: z.string().min(32),
  adminPassword: z.string().min(32),
  /** Of the database user that reads for the default team; those of other teams are derived from it. */
  reportPassword: z.string().min(32),
  /** Signs the cookie of people who look at dashboards; the key that signs identities for Grafana is derived from it. */
  sessionKey: z.string().min(32),
})
export type GrafanaSecrets = z.infer<typeof Secrets>

/** Made once, kept in a file that only its owner reads. Hexadecimal: safe in every format they are written to. */
export function readOrCreateSecrets(folder: string): GrafanaSecrets {
  const file = path.join(folder, 'secrets.json')
  mkdirSync(folder, { recursive: true })
  const present = read(file)
  if (present) return present
  const draft = `${file}.${process.pid}.draft`
  const secrets: GrafanaSecrets = {
    installation: randomBytes(4).toString('hex'),
    secretKey: newSecret(),
    adminPassword: newSecret(),
    reportPassword: newSecret(),
    sessionKey: newSecret(),
  }
  writeFileSync(draft, `${JSON.stringify(secrets, null, 2)}\n`, { mode: 0o600, flush: true })
  try {
    // Unlike a rename it fails when another process was first; then that one's secrets count.
    linkSync(draft, file)
    return secrets
  } catch (error) {
    const others = read(file)
    if (others) return others
    throw error
  } finally {
    rmSync(draft, { force: true })
  }
}

/** Of the database user that reads for one team; nobody finds another team's from it. */
export const readerPassword = (secrets: GrafanaSecrets, teamId: string): string =>
  teamId === defaultTeamId ? secrets.reportPassword : createHmac('sha256', secrets.reportPassword).update(teamId).digest('hex')

const newSecret = (): string => randomBytes(32).toString('hex')

function read(file: string): GrafanaSecrets | undefined {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
  try {
    return Secrets.parse(JSON.parse(text))
  } catch {
    // The cause would repeat the secrets.
    throw new Error(
      `${file} is damaged. Remove it: the next start makes new secrets, and people sign in to the dashboards again.`,
    )
  }
}
