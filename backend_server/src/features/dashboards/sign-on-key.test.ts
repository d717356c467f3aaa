import assert from 'node:assert/strict'
import { createPublicKey, verify } from 'node:crypto'
import { test } from 'node:test'
import { signOnKeyOf } from './sign-on-key.ts'

const isSignedBy = (publicKey: string, token: string): boolean => {
  const [head, body, signature = ''] = token.split('.')
  const key = { key: createPublicKey(publicKey), dsaEncoding: 'ieee-p1363' as const }
  return verify('sha256', Buffer.from(`${head}.${body}`), key, Buffer.from(signature, 'base64url'))
}

test('G6: identities are signed with a key of the installation; the half that Grafana gets makes none', () => {
  const key = signOnKeyOf('a'.repeat(64))
  assert.equal(signOnKeyOf('a'.repeat(64)).publicKey, key.publicKey, 'the same for everybody who has the secrets')
  assert.match(key.publicKey, /^-----BEGIN PUBLIC KEY-----\n/)
  const token = key.sign({ sub: 'ann' })
  assert.ok(isSignedBy(key.publicKey, token))
  assert.ok(!isSignedBy(signOnKeyOf('b'.repeat(64)).publicKey, token))
  const [head, , signature] = token.split('.')
  const forged = Buffer.from(JSON.stringify({ sub: 'eve' })).toString('base64url')
  assert.ok(!isSignedBy(key.publicKey, `${head}.${forged}.${signature}`))
})
