import { createECDH, createHmac, createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto'

/*
 * The key with which this server says who looks at dashboards. Grafana gets the public half only: neither a client, nor a data
 * source of Grafana's own that calls 127.0.0.1, can make an identity.
 */

export interface SignOnKey {
  /** PEM, for Grafana. */
  publicKey: string
  /** A JSON Web Token (ES256) that counts for a minute. */
  sign: (claims: Record<string, unknown>, now?: number) => string
}

export const signOnIssuer = 'virtualpytest-server'
const validSeconds = 60

/** Derived, so that everybody who has the secrets of an installation has the same key, those made by older versions included. */
export function signOnKeyOf(secret: string): SignOnKey {
  const privateKey = deriveKey(secret)
  return {
    publicKey: createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }).toString(),
    sign(claims, now = Date.now()) {
      const seconds = Math.floor(now / 1000)
      const body = { iss: signOnIssuer, iat: seconds, exp: seconds + validSeconds, ...claims }
      const text = `${asPart({ alg: 'ES256', typ: 'JWT' })}.${asPart(body)}`
      return `${text}.${sign('sha256', Buffer.from(text), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
    },
  }
}

const asPart = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

function deriveKey(secret: string): KeyObject {
  const curve = createECDH('prime256v1')
  for (let round = 0; ; round += 1) {
    const scalar = createHmac('sha256', secret).update(`grafana sign-on ${round}`).digest()
    try {
      curve.setPrivateKey(scalar)
    } catch {
      // One of 2^32 numbers is beyond the order of the curve.
      continue
    }
    const point = curve.getPublicKey()
    const [x, y] = [point.subarray(1, 33), point.subarray(33)].map((half) => half.toString('base64url'))
    return createPrivateKey({ format: 'jwk', key: { kty: 'EC', crv: 'P-256', d: scalar.toString('base64url'), x, y } })
  }
}
