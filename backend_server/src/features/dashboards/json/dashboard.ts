import type { Dashboard, Panel, PlacedPanel, Variable } from './model.ts'

export interface DashboardInput {
  /** Stable and readable; links and bookmarks name it. */
  uid: string
  title: string
  description: string
  tags: string[]
  /** Such as `now-24h`. */
  from: string
  /** Such as `30s`; empty: when a person asks. */
  refresh: string
  variables: Variable[]
  /** Rows from top to bottom; the panels of a row share its width. */
  rows: { height: number; panels: Panel[] }[]
}

const gridWidth = 24

export function dashboard(input: DashboardInput): Dashboard {
  return {
    uid: input.uid,
    title: input.title,
    description: input.description,
    tags: input.tags,
    editable: false,
    graphTooltip: 1,
    links: [],
    liveNow: false,
    annotations: { list: [] },
    panels: place(input.rows),
    refresh: input.refresh,
    schemaVersion: 39,
    templating: { list: input.variables },
    time: { from: input.from, to: 'now' },
    timezone: 'browser',
    version: 1,
    weekStart: '',
  }
}

function place(rows: DashboardInput['rows']): PlacedPanel[] {
  const placed: PlacedPanel[] = []
  let y = 0
  for (const { height, panels } of rows) {
    const width = Math.floor(gridWidth / panels.length)
    for (const [index, panel] of panels.entries())
      placed.push({ id: placed.length + 1, gridPos: { x: index * width, y, w: width, h: height }, ...panel })
    y += height
  }
  return placed
}
