import { dataSource, type Panel, type PanelInput, query } from './model.ts'

const defaults = ({ unit, decimals, thresholds }: PanelInput): Record<string, unknown> => ({
  noValue: 'no data',
  ...(unit && { unit }),
  ...(decimals !== undefined && { decimals }),
  color: thresholds ? { mode: 'thresholds' } : { mode: 'palette-classic' },
  thresholds: { mode: 'absolute', steps: thresholds ?? [{ color: 'text', value: null }] },
})

const base = (input: PanelInput, type: Panel['type'], format: 'table' | 'time_series' = 'table'): Panel => ({
  type,
  title: input.title,
  description: input.description,
  datasource: dataSource,
  targets: [query(input.sql, format)],
  fieldConfig: { defaults: defaults(input), overrides: input.overrides ?? [] },
  options: {},
})

/** One number; further columns of the row are shown beside it with their names. */
export function stat(input: PanelInput): Panel {
  const panel = base(input, 'stat')
  if (!input.thresholds) panel.fieldConfig.defaults.color = { mode: 'fixed', fixedColor: 'text' }
  panel.options = {
    colorMode: 'value',
    graphMode: 'none',
    justifyMode: 'auto',
    orientation: 'auto',
    textMode: 'value_and_name',
    reduceOptions: { calcs: ['lastNotNull'], fields: '/.*/', values: false },
  }
  return panel
}

/** One group of bars per row, in the order of the query; `x` is the column that names it. */
export function bars(input: PanelInput & { x: string; min?: number; max?: number }): Panel {
  const panel = base(input, 'barchart')
  Object.assign(panel.fieldConfig.defaults, {
    ...(input.min !== undefined && { min: input.min }),
    ...(input.max !== undefined && { max: input.max }),
    custom: { fillOpacity: 80, lineWidth: 1 },
  })
  panel.options = {
    xField: input.x,
    orientation: 'horizontal',
    showValue: 'always',
    stacking: 'none',
    groupWidth: 0.8,
    barWidth: 0.9,
    legend: { showLegend: true, displayMode: 'list', placement: 'bottom', calcs: [] },
    tooltip: { mode: 'multi', sort: 'none' },
  }
  return panel
}

export function timeSeries(input: PanelInput & { min?: number; max?: number }): Panel {
  const panel = base(input, 'timeseries', 'time_series')
  Object.assign(panel.fieldConfig.defaults, {
    ...(input.min !== undefined && { min: input.min }),
    ...(input.max !== undefined && { max: input.max }),
    color: { mode: 'palette-classic' },
    custom: {
      drawStyle: 'line',
      lineWidth: 1,
      showPoints: 'always',
      pointSize: 6,
      spanNulls: false,
      thresholdsStyle: { mode: input.thresholds ? 'line' : 'off' },
    },
  })
  panel.options = {
    legend: { showLegend: true, displayMode: 'list', placement: 'bottom', calcs: [] },
    tooltip: { mode: 'multi', sort: 'none' },
  }
  return panel
}

export function table(input: PanelInput): Panel {
  const panel = base(input, 'table')
  panel.options = { showHeader: true, cellHeight: 'sm', footer: { show: false } }
  return panel
}
