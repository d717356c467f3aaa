/*
 * The part of Grafana's dashboard format that the product uses, as types and small builders. Core panel types only: a plugin
 * would have to be installed, pinned and trusted on every lab.
 */
import { dataSourceType, dataSourceUid } from '../data-source.ts'

export const dataSource = { type: dataSourceType, uid: dataSourceUid } as const

export type Color = 'green' | 'yellow' | 'orange' | 'red' | 'blue' | 'text'
export interface Threshold {
  color: Color
  /** null: from the lowest value on. */
  value: number | null
}
export interface Matcher {
  id: 'byName' | 'byRegexp'
  options: string
}
export interface Override {
  matcher: Matcher
  properties: { id: string; value: unknown }[]
}

export interface PanelInput {
  title: string
  /** What the number means, for a person who sees it for the first time. */
  description: string
  sql: string
  unit?: string
  decimals?: number
  /** Lowest first. Without them the panel has one neutral color. */
  thresholds?: Threshold[]
  overrides?: Override[]
}

export interface Panel {
  type: 'stat' | 'barchart' | 'timeseries' | 'table'
  title: string
  description: string
  datasource: typeof dataSource
  targets: Target[]
  fieldConfig: { defaults: Record<string, unknown>; overrides: Override[] }
  options: Record<string, unknown>
}
export interface PlacedPanel extends Panel {
  id: number
  gridPos: { x: number; y: number; w: number; h: number }
}
export interface Target {
  refId: string
  datasource: typeof dataSource
  editorMode: 'code'
  format: 'table' | 'time_series'
  rawQuery: true
  rawSql: string
}

export interface Variable {
  type: 'query'
  name: string
  label: string
  datasource: typeof dataSource
  query: string
  definition: string
  /** 2: asked again when the time range changes. */
  refresh: 2
  sort: 1
  multi: true
  includeAll: true
  allValue: string
  current: { text: string[]; value: string[] }
  options: []
}

export interface Dashboard {
  uid: string
  title: string
  description: string
  tags: string[]
  editable: false
  graphTooltip: 1
  links: []
  liveNow: false
  panels: PlacedPanel[]
  refresh: string
  schemaVersion: 39
  templating: { list: Variable[] }
  time: { from: string; to: string }
  timezone: 'browser'
  version: 1
  weekStart: ''
  annotations: { list: [] }
}

export const query = (sql: string, format: Target['format'] = 'table'): Target => ({
  refId: 'A',
  datasource: dataSource,
  editorMode: 'code',
  format,
  rawQuery: true,
  rawSql: sql,
})

/** Stands for "All" in the text of a query. Listing every value instead would miss none and make the text endless. */
const everything = '__all__'

export const variable = (name: string, label: string, sql: string): Variable => ({
  type: 'query',
  name,
  label,
  datasource: dataSource,
  query: sql,
  definition: sql,
  refresh: 2,
  sort: 1,
  multi: true,
  includeAll: true,
  // Put into the query as it is, unlike chosen values.
  allValue: `'${everything}'`,
  current: { text: ['All'], value: ['$__all'] },
  options: [],
})

/** A condition on a column by the variable of that name; Grafana quotes the chosen values, whatever is in them. */
export const chosen = (column: string, name = column): string =>
  `('${everything}' in ($\{${name}:sqlstring}) or ${column} in ($\{${name}:sqlstring}))`

export const colorOf = (matcher: Matcher, color: Color): Override => ({
  matcher,
  properties: [{ id: 'color', value: { mode: 'fixed', fixedColor: color } }],
})
