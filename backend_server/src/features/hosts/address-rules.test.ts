import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createAddressRules } from './address-rules.ts'

const judge = (words: string[], addresses: string[]): string[] => addresses.filter(createAddressRules(words))

test('SSRF by registration: what each word of HOST_NETWORKS allows', () => {
  const all = ['127.0.0.1', '127.8.9.1', '10.1.2.3', '172.31.0.1', '192.168.1.9', '100.64.0.1', '8.8.8.8', '169.254.7.7', '::1']
  assert.deepEqual(judge(['private', 'public'], all), ['10.1.2.3', '172.31.0.1', '192.168.1.9', '100.64.0.1', '8.8.8.8'])
  assert.deepEqual(judge(['loopback'], all), ['127.0.0.1', '127.8.9.1', '::1'])
  assert.deepEqual(judge(['link-local'], all), ['169.254.7.7'])
  assert.deepEqual(judge(['10.1.0.0/16', '8.8.8.8'], all), ['10.1.2.3', '8.8.8.8'])
  assert.deepEqual(judge(['public'], ['fd00::1', 'fe80::1%eth0', '2001:db8::1', 'fc00::5']), ['2001:db8::1'])
})

test('SSRF by registration: the credentials of a cloud machine and addresses of nobody are never reached', () => {
  const everything = ['loopback', 'private', 'public', 'link-local', '0.0.0.0/0', '::/0']
  const refused = [
    '169.254.169.254',
    '::ffff:169.254.169.254',
    '::ffff:a9fe:a9fe',
    '64:ff9b::a9fe:a9fe',
    'fd00:ec2::254',
    '100.100.100.200',
    '0.0.0.0',
    '::',
    '255.255.255.255',
    '239.1.1.1',
    'ff02::1',
    'no address',
  ]
  assert.deepEqual(judge(everything, refused), [])
})

test('IPv4 inside IPv6 is judged as the address it reaches', () => {
  const inside = ['::ffff:127.0.0.1', '[::ffff:7f00:1]', '::127.0.0.1', '0:0:0:0:0:ffff:127.0.0.1', '64:ff9b::7f00:1']
  assert.deepEqual(judge(['private', 'public'], inside), [])
  assert.deepEqual(judge(['loopback'], inside), inside)
})

test('a wrong word stops the start', () => {
  for (const word of ['lan', '10.0.0.0/40', '10.0.0/8', '::1/200']) assert.throws(() => createAddressRules([word]))
})
