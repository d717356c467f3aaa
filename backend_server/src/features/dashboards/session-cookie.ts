import { createHmac, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'

/*
 * A token in the form that a browser carries: its hash and an end, signed. The hash signs nobody in at the API, and whether
 * the token still counts is asked of the database, so that a revoked token ends its sessions too.
 */

export const sessionCookie = 'vpt_grafana'
export const sessionSeconds = 12 * 3600

const Session = z.object({ hash: z.string(), end: z.number() })

export function signSession(key: string, session: { hash: string; end: number }): string {
  const text = Buffer.from(JSON.stringify(session)).toString('base64url')
  return `${text}.${signatureOf(key, text)}`
}

/** Hash of the token; undefined for what is forged, ended or no session at all. */
export function readSession(key: string, cookieHeader: string | undefined, now: number): string | undefined {
  for (const part of (cookieHeader ?? '').split(';')) {
    const [name, value = ''] = part.trim().split('=', 2)
    if (name !== sessionCookie) continue
    const [text = '', signature = ''] = value.split('.')
    const wanted = Buffer.from(signatureOf(key, text))
    const given = Buffer.from(signature)
    if (wanted.length !== given.length || !timingSafeEqual(wanted, given)) continue
    const session = Session.parse(JSON.parse(Buffer.from(text, 'base64url').toString()))
    if (session.end > now) return session.hash
  }
  return undefined
}

const signatureOf = (key: string, text: string): string => createHmac('sha256', key).update(text).digest('base64url')

/** `isCrossSite`: pages of other sites show dashboards in frames, which browsers allow on https only. */
export function cookieHeader(value: string, options: { isSecure: boolean; isCrossSite: boolean }): string {
  const { isSecure, isCrossSite } = options
  const age = value === '' ? 0 : sessionSeconds
  const sameSite = isSecure && isCrossSite ? 'None' : 'Lax'
  return `${sessionCookie}=${value}; Path=/grafana; Max-Age=${age}; HttpOnly; SameSite=${sameSite}${isSecure ? '; Secure' : ''}`
}
