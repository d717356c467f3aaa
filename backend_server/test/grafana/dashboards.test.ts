import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { sql } from 'kysely'
import { dataSourceUid } from '../../src/features/dashboards/data-source.ts'
import { type Dashboard, dashboardFiles, dashboards, type Panel } from '../../src/features/dashboards/json/index.ts'
import { expandMacros, putVariables, type TimeRange } from './expand-sql.ts'
import { createReportDatabase, openReader, type Reader } from './reader.ts'
import { addRun } from './seed-runs.ts'

const root = path.resolve(import.meta.dirname, '../../..')
type Row = Record<string, unknown>

/** Runs every query of a dashboard as its own database user; the rows by title of the panel. */
async function readPanels(
  reader: Reader,
  dashboard: Dashboard,
  range: TimeRange,
  chosen: Record<string, string[]> = {},
): Promise<Record<string, Row[]>> {
  const variables = dashboard.templating.list
  const rows: Record<string, Row[]> = {}
  for (const panel of dashboard.panels as Panel[]) {
    for (const target of panel.targets) {
      rows[panel.title] = await reader.query(expandMacros(putVariables(target.rawSql, variables, chosen), range))
    }
  }
  return rows
}

const hour = 3_600_000
const lastDay = (): TimeRange => ({ from: new Date(Date.now() - 24 * hour), to: new Date(Date.now() + 1000) })
const asNumbers = (rows: Row[] | undefined): Row[] =>
  (rows ?? []).map((row) =>
    Object.fromEntries(
      Object.entries(row).map(([key, value]) => [key, /^-?\d+(\.\d+)?$/.test(String(value)) ? Number(value) : value]),
    ),
  )

const scriptResults = dashboards['runs/script-results.json'] as Dashboard

test('G1: the files in grafana/dashboards are the generated ones', () => {
  const files = dashboardFiles()
  for (const [file, text] of Object.entries(files)) assert.equal(readFileSync(path.join(root, file), 'utf8'), text, file)
  const present = readdirSync(path.join(root, 'grafana/dashboards'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.json'))
    .map((file) => `grafana/dashboards/${file}`)
  assert.deepEqual(present.toSorted(), Object.keys(files).toSorted())
})

test('G2, G4, G12: known data source, core panels, stable ids, values of variables quoted by Grafana', () => {
  const core = new Set(['stat', 'barchart', 'timeseries', 'table', 'state-timeline', 'bargauge', 'gauge', 'heatmap', 'text'])
  for (const [file, dashboard] of Object.entries(dashboards)) {
    assert.equal(dashboard.uid, path.basename(file, '.json'))
    assert.equal(dashboard.editable, false)
    assert.equal(new Set(dashboard.panels.map((panel) => panel.id)).size, dashboard.panels.length)
    const queries = dashboard.templating.list.map((one) => one.query)
    for (const panel of dashboard.panels) {
      assert.ok(core.has(panel.type), `${file}: ${panel.type}`)
      assert.ok(panel.description.length > 0, `${file}: ${panel.title} explains nothing`)
      assert.ok(panel.gridPos.x + panel.gridPos.w <= 24)
      queries.push(...panel.targets.map((target) => target.rawSql))
      for (const target of panel.targets) {
        // The time picker is obeyed by every panel, and the range is half-open.
        assert.match(target.rawSql, /finished_at >= \$__timeFrom\(\) and finished_at < \$__timeTo\(\)/)
      }
    }
    const sources = [...JSON.stringify(dashboard).matchAll(/"uid":"([^"]+)"/g)].map((match) => match[1])
    assert.deepEqual(new Set(sources), new Set([dashboard.uid, dataSourceUid]))
    for (const text of queries) {
      assert.doesNotMatch(text, /'\s*\$\{|\$\{\w+\}|\[\[/, `${file}: a variable is quoted by hand or not at all`)
      assert.doesNotMatch(text, /team_id/, `${file}: the team is fixed by the database user`)
    }
  }
})

test('G3: on an empty database every query runs, and a rate of nothing is no number', async (t) => {
  const database = await createReportDatabase(t)
  const reader = await openReader(t, database)
  for (const dashboard of Object.values(dashboards)) {
    for (const one of dashboard.templating.list) assert.deepEqual(await reader.query(expandMacros(one.query, lastDay())), [])
  }
  const rows = await readPanels(reader, scriptResults, lastDay())
  assert.deepEqual(asNumbers(rows.Runs), [{ runs: 0 }])
  assert.deepEqual(asNumbers(rows['Pass rate']), [{ 'pass rate': null, runs: 0 }])
  assert.deepEqual(asNumbers(rows['Total time']), [{ 'total time': null, runs: 0 }])
  assert.deepEqual(asNumbers(rows['Mean duration']), [{ 'mean duration': null, runs: 0 }])
  for (const title of ['Pass rate by script', 'Volume by interface', 'Duration by interface', 'Pass rate per day', 'Details'])
    assert.deepEqual(rows[title], [], title)
})

test('G3, DB9, Q1: expected numbers on a filled database', async (t) => {
  const database = await createReportDatabase(t)
  const { db } = database
  const at = (hours: number): Date => new Date(Date.now() - hours * hour)
  const tv = '--userinterface=tv --loops 3'
  await addRun(db, {
    name: 'zap.py',
    parameters: tv,
    seconds: 60,
    finishedAt: at(1),
    reportUrl: 'https://elsewhere.example/r.html',
  })
  await addRun(db, { name: 'zap.py', parameters: '--userinterface "tv"', seconds: 120, finishedAt: at(2) })
  await addRun(db, { name: 'zap.py', parameters: tv, status: 'failed', seconds: 30, finishedAt: at(3), error: 'No picture' })
  await addRun(db, { name: 'login.py', parameters: "--userinterface 'web shop'", seconds: 10, finishedAt: at(4) })
  await addRun(db, { name: 'login.py', status: 'error', seconds: null, finishedAt: at(5), error: 'Host lost' })
  // None of these counts.
  await addRun(db, { name: 'zap.py', discarded: true, status: 'failed' })
  await addRun(db, { status: 'cancelled' })
  await addRun(db, { status: 'running' })
  await addRun(db, { kind: 'health_check' })
  await addRun(db, { kind: 'batch' })
  await addRun(db, { finishedAt: at(30) })
  const replaced = await addRun(db, { name: 'retry.py', status: 'failed', finishedAt: at(7), seconds: 5 })
  await addRun(db, { name: 'retry.py', retryOf: replaced, finishedAt: at(6), seconds: 20 })
  // A retry that has not ended, or was discarded, replaces nothing.
  const kept = await addRun(db, { name: 'kept.py', status: 'failed', finishedAt: at(8), seconds: 5 })
  await addRun(db, { retryOf: kept, status: 'queued' })
  await addRun(db, { retryOf: kept, discarded: true })
  const reader = await openReader(t, database)
  const rows = await readPanels(reader, scriptResults, lastDay())

  assert.deepEqual(asNumbers(rows.Runs), [{ runs: 7 }])
  assert.deepEqual(asNumbers(rows['Pass rate']), [{ 'pass rate': 57.1, runs: 7 }])
  assert.deepEqual(asNumbers(rows['Total time']), [{ 'total time': 4.1, runs: 6 }])
  assert.deepEqual(asNumbers(rows['Mean duration']), [{ 'mean duration': 52.5, runs: 4 }])
  assert.deepEqual(asNumbers(rows['Pass rate by script']), [
    { script: 'kept.py', 'pass rate': 0, runs: 1 },
    { script: 'login.py', 'pass rate': 50, runs: 2 },
    { script: 'zap.py', 'pass rate': 66.7, runs: 3 },
    { script: 'retry.py', 'pass rate': 100, runs: 1 },
  ])
  assert.deepEqual(asNumbers(rows['Volume by script']).slice(0, 2), [
    { script: 'zap.py', total: 3, passed: 2, failed: 1 },
    { script: 'login.py', total: 2, passed: 1, failed: 1 },
  ])
  assert.deepEqual(asNumbers(rows['Volume by interface']), [
    { interface: 'none', total: 3, passed: 1, failed: 2 },
    { interface: 'tv', total: 3, passed: 2, failed: 1 },
    { interface: 'web shop', total: 1, passed: 1, failed: 0 },
  ])
  assert.deepEqual(asNumbers(rows['Duration by interface']), [
    { interface: 'tv', mean: 90, minimum: 60, maximum: 120, runs: 2 },
    { interface: 'none', mean: 20, minimum: 20, maximum: 20, runs: 1 },
    { interface: 'web shop', mean: 10, minimum: 10, maximum: 10, runs: 1 },
  ])
  const [newest, , failed] = rows.Details ?? []
  assert.deepEqual(
    [newest?.result, newest?.test, newest?.interface, newest?.report],
    ['passed', 'zap.py', 'tv', 'https://elsewhere.example/r.html'],
  )
  assert.deepEqual([failed?.error, Number(failed?.seconds)], ['No picture', 30])
  assert.equal(rows.Details?.length, 7)
  const days = asNumbers(rows['Pass rate per day'])
  assert.equal(
    days.reduce((sum, day) => sum + Number(day.runs), 0),
    7,
  )
  for (const day of days) assert.ok(new Date(String(day.time)).getTime() >= lastDay().from.getTime() - 60_000)
})

test('DB9: the interface of a run is the value of --userinterface, in quotes or not', async (t) => {
  const database = await createReportDatabase(t)
  const rows: [parameters: string, expected: string][] = [
    ['', 'none'],
    ['--loops 3', 'none'],
    ['--userinterface tv', 'tv'],
    ['--userinterface=tv --loops 3', 'tv'],
    ['--loops 3 --userinterface   tv', 'tv'],
    ['--userinterface\ttv\n--loops 3', 'tv'],
    ['--userinterface "web shop" --x', 'web shop'],
    ["--userinterface='web shop'", 'web shop'],
    ['--userinterface="it\'s"', "it's"],
    ['--userinterface ""', 'none'],
    ['--userinterface "open', '"open'],
    ['--userinterface= tv', 'none'],
    ['--userinterface', 'none'],
    ['--userinterfaces tv', 'none'],
    ['--userinterface=a=b', 'a=b'],
  ]
  for (const [parameters] of rows) await addRun(database.db, { parameters, name: JSON.stringify(parameters) })
  const reader = await openReader(t, database)
  const found = await reader.query<{ script: string; interface: string }>('select script, interface from report.script_results')
  assert.deepEqual(
    new Map(found.map((row) => [row.script, row.interface])),
    new Map(rows.map(([parameters, expected]) => [JSON.stringify(parameters), expected])),
  )
})

test('G11: a report of our own is reached from below /grafana', async (t) => {
  const database = await createReportDatabase(t)
  const id = await addRun(database.db)
  const artifact = crypto.randomUUID()
  await sql`update runs set report_artifact_id = ${artifact} where id = ${id}`.execute(database.db.kysely)
  const reader = await openReader(t, database)
  const { Details: details = [] } = await readPanels(reader, scriptResults, lastDay())
  for (const page of ['/grafana/', '/grafana/d/script-results/script-results', '/grafana/d-solo/script-results/x?panelId=1'])
    assert.equal(new URL(String(details[0]?.report), `https://lab.example.org${page}`).pathname, `/server/runs/${id}/report`)
})

test('G12: variables choose by value, whatever the value is', async (t) => {
  const database = await createReportDatabase(t)
  const names = ["O'Brien; --", "'); drop table runs; --", '100% \\ "quoted"', 'été 電視']
  for (const device of names) await addRun(database.db, { device, host: `host of ${device}` })
  const reader = await openReader(t, database)
  const count = async (chosen: Record<string, string[]>): Promise<unknown> =>
    (await readPanels(reader, scriptResults, lastDay(), chosen)).Runs?.[0]?.runs
  const listed = await reader.query<{ device: string }>(
    expandMacros(scriptResults.templating.list.find((one) => one.name === 'device')?.query ?? '', lastDay()),
  )
  assert.deepEqual(new Set(listed.map((one) => one.device)), new Set(names))
  for (const device of names) {
    assert.equal(await count({ device: [device] }), '1', device)
    assert.equal(await count({ device: [device], host: [`host of ${device}`] }), '1')
    assert.equal(await count({ device: [device], host: ['elsewhere'] }), '0')
  }
  assert.equal(await count({ device: names.slice(0, 2) }), '2')
  assert.equal(await count({}), '4')
})

test('DB9: days are those of the team, and ranges side by side count no run twice', async (t) => {
  const database = await createReportDatabase(t)
  await sql`update teams set time_zone = 'Pacific/Auckland'`.execute(database.db.kysely)
  // 23:30 and 00:30 in Auckland (UTC+12 in July), the same day in UTC.
  await addRun(database.db, { finishedAt: new Date('2026-07-10T11:30:00Z') })
  await addRun(database.db, { finishedAt: new Date('2026-07-10T12:30:00Z') })
  await addRun(database.db, { finishedAt: new Date('2026-07-11T00:00:00Z') })
  const reader = await openReader(t, database)
  const read = (from: string, to: string): Promise<Record<string, Row[]>> =>
    readPanels(reader, scriptResults, { from: new Date(from), to: new Date(to) })
  const both = await read('2026-07-01T00:00:00Z', '2026-07-20T00:00:00Z')
  assert.deepEqual(
    (both['Pass rate per day'] ?? []).map((day) => [new Date(String(day.time)).toISOString(), day.runs]),
    [
      ['2026-07-09T12:00:00.000Z', '1'],
      ['2026-07-10T12:00:00.000Z', '2'],
    ],
  )
  const first = await read('2026-07-10T00:00:00Z', '2026-07-11T00:00:00Z')
  const second = await read('2026-07-11T00:00:00Z', '2026-07-12T00:00:00Z')
  assert.deepEqual([first.Runs?.[0]?.runs, second.Runs?.[0]?.runs], ['2', '1'])
})
