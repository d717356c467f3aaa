import { createPrivateKey, generateKeyPair } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import type { AdbCredentialStore, AdbPrivateKey } from '@yume-chan/adb'
import { writeDurably } from '../../process/durable-file.ts'

/**
 * The key by which devices know this agent, made at the first use and kept: a device asks the person in front of it
 * once for each key. The file has the form of Android's own `adbkey`, so that an existing one can be put in its place.
 * Neither the key nor the path of its content is ever logged.
 */
export type AdbKey = () => Promise<AdbCredentialStore>

export function createAdbKey(folder: string, name: string): AdbKey {
  let opening: Promise<AdbCredentialStore> | undefined
  return () => {
    opening ??= openKey(path.join(folder, 'adbkey'), name).catch((error: unknown) => {
      opening = undefined
      throw error
    })
    return opening
  }
}

async function openKey(file: string, name: string): Promise<AdbCredentialStore> {
  const pem = (await readIfThere(file)) ?? (await makeKey(file))
  const key: AdbPrivateKey = { buffer: toPkcs8(pem, file), name }
  return { generateKey: () => key, iterateKeys: () => [key] }
}

async function readIfThere(file: string): Promise<string | null> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

async function makeKey(file: string): Promise<string> {
  const { privateKey } = await promisify(generateKeyPair)('rsa', {
    modulusLength: 2048,
    publicExponent: 0x10001,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  })
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 })
  await writeDurably(file, privateKey)
  return privateKey
}

function toPkcs8(pem: string, file: string): Uint8Array {
  try {
    const key = createPrivateKey(pem)
    if (key.asymmetricKeyType === 'rsa' && key.asymmetricKeyDetails?.modulusLength === 2048) {
      return new Uint8Array(key.export({ type: 'pkcs8', format: 'der' }))
    }
  } catch {
    // What OpenSSL says of it helps nobody, and might quote it.
  }
  // Made anew it would have to be allowed on every device again: that is for the operator to decide.
  throw new Error(`${file} is not an RSA key of 2048 bits; remove it, and a new one is made`)
}
