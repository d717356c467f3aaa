import { dashboard } from './dashboard.ts'
import { chosen, colorOf, type Dashboard, type Override, type Threshold, variable } from './model.ts'
import { bars, stat, table, timeSeries } from './panels.ts'

/*
 * DB9, the daily view. Counted runs of scripts and test cases, as report.script_results shows them: ended passed, failed or
 * error, not discarded, not replaced by a later retry. The range is half-open, so that two ranges side by side count no run
 * twice. A rate without runs is no rate: null, shown as "no data".
 */

const inRange = 'finished_at >= $__timeFrom() and finished_at < $__timeTo()'
const source = `
  from report.script_results
 where ${inRange}
   and ${chosen('interface')}
   and ${chosen('host')}
   and ${chosen('device')}
   and ${chosen('script')}`

const passed = "filter (where result = 'passed')"
const passRate = `round(100.0 * count(*) ${passed} / nullif(count(*), 0), 1)`
const volume = `count(*) as total, count(*) ${passed} as passed, count(*) filter (where result <> 'passed') as failed`
const mostBars = 30

const rates = (yellow: number, green: number): Threshold[] => [
  { color: 'red', value: null },
  { color: 'yellow', value: yellow },
  { color: 'green', value: green },
]
const named = (name: string) => ({ id: 'byName', options: name }) as const
const volumeColors = [colorOf(named('total'), 'blue'), colorOf(named('passed'), 'green'), colorOf(named('failed'), 'red')]
/** The number of runs behind a value: in the tooltip, without a bar or line of its own. */
const runsInTooltip: Override = {
  matcher: { id: 'byRegexp', options: '/^runs/' },
  properties: [
    { id: 'custom.hideFrom', value: { viz: true, legend: true, tooltip: false } },
    { id: 'unit', value: 'none' },
  ],
}
const runsInText: Override = {
  matcher: named('runs'),
  properties: [
    { id: 'unit', value: 'none' },
    { id: 'color', value: { mode: 'fixed', fixedColor: 'text' } },
  ],
}

const rateBy = (column: string): string =>
  `select ${column}, ${passRate} as "pass rate", count(*) as runs${source}
 group by ${column}
 order by 2, runs desc, 1
 limit ${mostBars}`
const volumeBy = (column: string): string =>
  `select ${column}, ${volume}${source}
 group by ${column}
 order by total desc, 1
 limit ${mostBars}`
const values = (column: string): string => `select distinct ${column} from report.script_results where ${inRange} order by 1`

// A report of our own is a path of this server, which Grafana would look for below its own path. Steps up from any page of
// Grafana end at the root, however many they are.
const reportLink = `case when report like '/%' then '../../../../..' || report else report end`

const resultColors: Override = {
  matcher: named('result'),
  properties: [
    {
      id: 'mappings',
      value: [
        {
          type: 'value',
          options: {
            passed: { color: 'green', index: 0 },
            failed: { color: 'red', index: 1 },
            error: { color: 'orange', index: 2 },
          },
        },
      ],
    },
    { id: 'custom.cellOptions', value: { type: 'color-text' } },
  ],
}
const reportCell: Override = {
  matcher: named('report'),
  properties: [
    { id: 'links', value: [{ title: 'Open the report', url: `$\{__value.raw}`, targetBlank: true }] },
    { id: 'mappings', value: [{ type: 'regex', options: { pattern: '.+', result: { text: 'open', index: 0 } } }] },
  ],
}

export const scriptResults: Dashboard = dashboard({
  uid: 'script-results',
  title: 'Script results',
  description: 'The daily view: what ran, what passed, how long it took.',
  tags: ['virtualpytest', 'runs'],
  from: 'now-24h',
  refresh: '',
  variables: [
    variable('interface', 'Interface', values('interface')),
    variable('host', 'Host', values('host')),
    variable('device', 'Device', values('device')),
    variable('script', 'Script', values('script')),
  ],
  rows: [
    {
      height: 4,
      panels: [
        stat({
          title: 'Runs',
          description: 'Counted runs that ended in the time range.',
          sql: `select count(*) as runs${source}`,
        }),
        stat({
          title: 'Pass rate',
          description: 'Passed runs over counted runs.',
          sql: `select ${passRate} as "pass rate", count(*) as runs${source}`,
          unit: 'percent',
          decimals: 1,
          thresholds: rates(80, 95),
          overrides: [runsInText],
        }),
        stat({
          title: 'Total time',
          description: 'Time that devices spent on counted runs.',
          sql: `select round(sum(duration_seconds) / 60, 1) as "total time", count(duration_seconds) as runs${source}`,
          unit: 'm',
          overrides: [runsInText],
        }),
        stat({
          title: 'Mean duration',
          description: 'From start to end, over passed runs.',
          sql: `select round(avg(duration_seconds) ${passed}, 1) as "mean duration", count(duration_seconds) ${passed} as runs${source}`,
          unit: 's',
          overrides: [runsInText],
        }),
      ],
    },
    {
      height: 10,
      panels: [
        bars({
          title: 'Pass rate by script',
          description: `Lowest first, at most ${mostBars}.`,
          sql: rateBy('script'),
          x: 'script',
          unit: 'percent',
          min: 0,
          max: 100,
          thresholds: rates(80, 90),
          overrides: [runsInTooltip],
        }),
        bars({
          title: 'Volume by script',
          description: `Counted runs; failed includes errors. Most runs first, at most ${mostBars}.`,
          sql: volumeBy('script'),
          x: 'script',
          min: 0,
          overrides: volumeColors,
        }),
      ],
    },
    {
      height: 8,
      panels: [
        bars({
          title: 'Pass rate by interface',
          description: `Lowest first, at most ${mostBars}.`,
          sql: rateBy('interface'),
          x: 'interface',
          unit: 'percent',
          min: 0,
          max: 100,
          thresholds: rates(80, 90),
          overrides: [runsInTooltip],
        }),
        bars({
          title: 'Volume by interface',
          description: `Counted runs; failed includes errors. Most runs first, at most ${mostBars}.`,
          sql: volumeBy('interface'),
          x: 'interface',
          min: 0,
          overrides: volumeColors,
        }),
        bars({
          title: 'Duration by interface',
          description: `From start to end, over passed runs. Longest mean first, at most ${mostBars}.`,
          sql: `select interface, round(avg(duration_seconds), 1) as mean, min(duration_seconds) as minimum, max(duration_seconds) as maximum,
       count(*) as runs${source}
   and result = 'passed' and duration_seconds is not null
 group by interface
 order by mean desc, 1
 limit ${mostBars}`,
          x: 'interface',
          unit: 's',
          min: 0,
          overrides: [runsInTooltip],
        }),
      ],
    },
    {
      height: 8,
      panels: [
        timeSeries({
          title: 'Pass rate per day',
          description: 'Passed runs over counted runs of each day, by interface. Days are those of the team.',
          // The first day may begin before the range, and its point must still be seen.
          sql: `select greatest(finished_day, $__timeFrom()::timestamptz) as "time", interface as metric, ${passRate} as "pass rate", count(*) as runs${source}
 group by 1, 2
 order by 1, 2`,
          unit: 'percent',
          min: 0,
          max: 100,
          thresholds: rates(80, 90),
          overrides: [runsInTooltip],
        }),
      ],
    },
    {
      height: 14,
      panels: [
        table({
          title: 'Details',
          description: 'The last 500 counted runs.',
          sql: `select result, script as test, interface, host, device, started_at as start, duration_seconds as seconds, error,
       ${reportLink} as report${source}
 order by finished_at desc, run_id
 limit 500`,
          overrides: [resultColors, reportCell],
        }),
      ],
    },
  ],
})
