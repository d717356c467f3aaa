import assert from 'node:assert/strict'
import test from 'node:test'
import { withoutSecrets } from './log-tail.ts'

test('S103: log lines leave the container without secrets', () => {
  const lines = [
    'connect postgresql://postgres.abc:S3cret@1/x@aws-0.pooler.supabase.com:5432/postgres failed',
    '{"authorization":"Bearer S3cret-S3cret-S3cret"}',
    'use vpt_S3cretS3cretS3cretS3cretS3cret now',
    'token eyJhbGciOiJI.eyJS3cretS3cret.S3cret',
    'password = S3cret',
    "api_key: 'S3cret with spaces'",
  ]
  for (const line of lines) assert.doesNotMatch(withoutSecrets(line), /S3cret/, line)
  const plain = '{"level":30,"method":"GET","path":"/server/system/programs","status":200,"ms":1.5}'
  assert.equal(withoutSecrets(plain), plain)
})
