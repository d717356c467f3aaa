/** The packets of ADB as a device sends and reads them; written from the protocol, not with the library under test. */
import { constants, createPublicKey, type KeyObject, publicDecrypt } from 'node:crypto'

export const commandOf = {
  CNXN: 0x4e584e43,
  AUTH: 0x48545541,
  OPEN: 0x4e45504f,
  OKAY: 0x59414b4f,
  WRTE: 0x45545257,
  CLSE: 0x45534c43,
  STLS: 0x534c5453,
} as const

export interface Packet {
  command: number
  arg0: number
  arg1: number
  payload: Buffer
}

export const checksumOf = (payload: Buffer): number => payload.reduce((sum, byte) => (sum + byte) >>> 0, 0)

export function encodePacket({ command, arg0, arg1, payload }: Packet): Buffer {
  const header = Buffer.alloc(24)
  header.writeUInt32LE(command, 0)
  header.writeUInt32LE(arg0, 4)
  header.writeUInt32LE(arg1, 8)
  header.writeUInt32LE(payload.length, 12)
  header.writeUInt32LE(checksumOf(payload), 16)
  header.writeUInt32LE((command ^ 0xffffffff) >>> 0, 20)
  return Buffer.concat([header, payload])
}

/** Takes whole packets off the bytes that have come; throws at what no host would send. */
export function createPacketReader(mustCheckSums: () => boolean): (bytes: Buffer) => Packet[] {
  let waiting = Buffer.alloc(0)
  return (bytes) => {
    waiting = Buffer.concat([waiting, bytes])
    const packets: Packet[] = []
    while (waiting.length >= 24) {
      const command = waiting.readUInt32LE(0)
      const length = waiting.readUInt32LE(12)
      if (waiting.readUInt32LE(20) !== (command ^ 0xffffffff) >>> 0) throw new Error('wrong magic')
      if (waiting.length < 24 + length) break
      const payload = Buffer.from(waiting.subarray(24, 24 + length))
      if (mustCheckSums() && waiting.readUInt32LE(16) !== checksumOf(payload)) throw new Error('wrong checksum')
      packets.push({ command, arg0: waiting.readUInt32LE(4), arg1: waiting.readUInt32LE(8), payload })
      waiting = Buffer.from(waiting.subarray(24 + length))
    }
    return packets
  }
}

const words = 64
/** What stands before a SHA-1 digest in a signature (DER). The token takes the place of the digest. */
const digestInfo = Buffer.from('3021300906052b0e03021a05000414', 'hex')

/** Android's own form of a public key: sizes, words in little endian, and a name after the base64. */
export function readPublicKey(payload: Buffer): { key: KeyObject; name: string } {
  const text = payload.toString('utf8').replace(/\0$/, '')
  const [base64 = '', name = ''] = text.split(' ')
  const bytes = Buffer.from(base64, 'base64')
  if (bytes.length !== 524 || bytes.readUInt32LE(0) !== words) throw new Error('not a key of 2048 bits')
  const modulus = Buffer.from(bytes.subarray(8, 8 + 256)).reverse()
  const inverse = bytes.readUInt32LE(4)
  const lowest = modulus.readUInt32BE(252)
  if (Number((BigInt(inverse) * BigInt(lowest)) & 0xffffffffn) !== 0xffffffff) throw new Error('n0inv is wrong')
  const montgomery = BigInt(`0x${Buffer.from(bytes.subarray(264, 520)).reverse().toString('hex')}`)
  const n = BigInt(`0x${modulus.toString('hex')}`)
  if ((1n << 4096n) % n !== montgomery) throw new Error('the squared radix is wrong')
  const exponent = Buffer.alloc(4)
  exponent.writeUInt32BE(bytes.readUInt32LE(520))
  const jwk = { kty: 'RSA', n: modulus.toString('base64url'), e: trimmed(exponent) }
  return { key: createPublicKey({ key: jwk, format: 'jwk' }), name }
}

const trimmed = (exponent: Buffer): string => exponent.subarray(exponent.findIndex((byte) => byte !== 0)).toString('base64url')

export function isSignedBy(key: KeyObject, token: Buffer, signature: Buffer): boolean {
  try {
    const plain = publicDecrypt({ key, padding: constants.RSA_PKCS1_PADDING }, signature)
    return plain.equals(Buffer.concat([digestInfo, token]))
  } catch {
    return false
  }
}
