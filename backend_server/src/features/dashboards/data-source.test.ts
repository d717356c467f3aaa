import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type DataSource, dataSourceFile, dataSourceOf } from './data-source.ts'

const reader = { user: 'vpt_report_ab', password: 'secret' }

test('S72: the address of the data source comes from the URL of the database, never as a URL', () => {
  const rows: [url: string, expected: Partial<DataSource>][] = [
    [
      'postgresql://owner:x@127.0.0.1:5433/vpt',
      { address: '127.0.0.1:5433', database: 'vpt', user: reader.user, tlsMode: 'disable' },
    ],
    [
      'postgres://owner:p%40ss%2F%25@db.example.org/v%20p?sslmode=require',
      { address: 'db.example.org:5432', database: 'v p', tlsMode: 'require' },
    ],
    [
      'postgresql://owner:a/b?c#d@db.example.org:6000/vpt?sslmode=verify-full',
      { address: 'db.example.org:6000', tlsMode: 'verify-full' },
    ],
    ['postgresql://owner:x@db.example.org/vpt?sslmode=prefer', { tlsMode: 'require' }],
    ['postgresql://owner:x@127.0.0.1/vpt?sslmode=prefer', { tlsMode: 'disable' }],
    ['postgresql://owner:x@[::1]:5432/vpt', { address: '[::1]:5432' }],
    ['postgresql://owner:x@/vpt?host=/run/postgresql', { address: '/run/postgresql' }],
    [
      'postgresql://postgres.abcdefghijklmnopqrst:x@aws-0-eu.pooler.supabase.com:5432/postgres',
      { user: 'vpt_report_ab.abcdefghijklmnopqrst', tlsMode: 'require' },
    ],
  ]
  for (const [url, expected] of rows) assert.partialDeepStrictEqual(dataSourceOf(url, reader), expected, url)
})

/** What Grafana makes of a text in a provisioning file. */
const interpolated = (text: string): string =>
  text
    .split('$$')
    .map((part) => part.replace(/\$\{[^}]*\}|\$__\w+\{[^}]*\}|\$\w+/g, ''))
    .join('$')

test('G5, S72, E2: awkward passwords and names arrive as they are', () => {
  for (const awkward of [
    'plain',
    '$HOME',
    `$\{HOME}`,
    '$__file{/etc/passwd}',
    'a$$b',
    '$',
    '$$$',
    `q"u'o\`te\\`,
    '# no comment',
    '%d @ : é 電',
    ' spaces ',
    'a\nb: c',
  ]) {
    const source = { ...dataSourceOf('postgresql://o:x@127.0.0.1/vpt', { user: awkward, password: awkward }), database: awkward }
    const file = JSON.parse(dataSourceFile(source).replace(/^#.*\n/, '')) as {
      datasources: { uid: string; user: string; jsonData: { database: string }; secureJsonData: { password: string } }[]
    }
    const [written] = file.datasources
    assert.equal(written?.uid, 'vpt-report')
    for (const text of [written?.user, written?.jsonData.database, written?.secureJsonData.password])
      assert.equal(interpolated(text ?? ''), awkward)
  }
})
