import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'

/** Grafana's database holds passwords that another key cannot read. */
export class EncryptionKeyError extends Error {
  constructor(dataFolder: string) {
    super(
      `The Grafana database in ${dataFolder} was encrypted with another key than the one given now. Give the old key (GF_SECURITY_SECRET_KEY, or secrets.json in the folder grafana of DATA_DIR), or remove ${dataFolder}: nothing in it is needed, everything is made again at the next start.`,
    )
    this.name = 'EncryptionKeyError'
  }
}

/** Refuses a key that does not belong to the database in this folder, instead of leaving a Grafana that can decrypt nothing. */
export function assertSameKey(dataFolder: string, secretKey: string): void {
  const file = path.join(dataFolder, 'encryption-key.sha256')
  const hash = createHash('sha256').update(`virtualpytest grafana ${secretKey}`).digest('hex')
  const known = existsSync(file) ? readFileSync(file, 'utf8').trim() : undefined
  if (known === hash) return
  if (known !== undefined && existsSync(path.join(dataFolder, 'grafana.db'))) throw new EncryptionKeyError(dataFolder)
  writeFileSync(file, `${hash}\n`, { mode: 0o600 })
}
