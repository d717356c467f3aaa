import type { Dashboard } from './model.ts'
import { scriptResults } from './script-results.ts'

export type { Dashboard, Panel, Variable } from './model.ts'

/** Every dashboard of the product by its file below grafana/dashboards/. */
export const dashboards: Readonly<Record<string, Dashboard>> = {
  'runs/script-results.json': scriptResults,
}

/** Content of the generated files by path from the root of the repository. */
export const dashboardFiles = (): Record<string, string> =>
  Object.fromEntries(
    Object.entries(dashboards).map(([file, content]) => [`grafana/dashboards/${file}`, `${JSON.stringify(content, null, 2)}\n`]),
  )
