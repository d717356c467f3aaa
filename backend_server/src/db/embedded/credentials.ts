import { randomBytes } from 'node:crypto'
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs'
import path from 'node:path'
import { z } from 'zod'
import { EmbeddedPostgresError } from './embedded-error.ts'

/*
 * Random passwords of the two database users, kept beside the cluster in a file that only its owner reads. `postgres` may do
 * everything; the server itself works as `virtualpytest`, which owns its database and nothing else.
 */

const Credentials = z.object({ superuserPassword: z.string().min(20), password: z.string().min(20) })
export type Credentials = z.infer<typeof Credentials>

export const superuserName = 'postgres'
export const userName = 'virtualpytest'
export const databaseName = 'virtualpytest'

const untoldFile = (dataDir: string): string => path.join(dataDir, 'credentials.untold')

/** From now on the cluster knows the passwords. */
export const markToldToCluster = (dataDir: string): void => rmSync(untoldFile(dataDir), { force: true })

/** `isNew`: the file was missing and has been made; an existing cluster does not know these passwords yet. */
export function readOrCreateCredentials(dataDir: string): { credentials: Credentials; isNew: boolean } {
  const file = path.join(dataDir, 'credentials.json')
  let text: string | undefined
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
  }
  if (text !== undefined) return { credentials: parse(text, file), isNew: existsSync(untoldFile(dataDir)) }
  const credentials = { superuserPassword: newPassword(), password: newPassword() }
  // First the mark, then the file: whoever reads the file, maybe another process after this one was killed, sees the mark.
  writeSecret(untoldFile(dataDir), '')
  writeSecret(file, `${JSON.stringify(credentials)}\n`)
  return { credentials, isNew: true }
}

function parse(text: string, file: string): Credentials {
  try {
    return Credentials.parse(JSON.parse(text))
  } catch {
    throw new EmbeddedPostgresError('data_folder_unusable', `${file} is damaged. Remove it: the next start makes new passwords.`)
  }
}

/** Safe in a URL and in a quoted SQL text. */
const newPassword = (): string => randomBytes(24).toString('base64url')

/** Complete and on disk before it has its name: half a file would lock everybody out. */
function writeSecret(file: string, text: string): void {
  const draft = `${file}.draft`
  const handle = openSync(draft, 'w', 0o600)
  try {
    writeSync(handle, text)
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
  renameSync(draft, file)
}
