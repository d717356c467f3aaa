import type { dataSourceModel } from './data-source.ts'
import type { GrafanaApi } from './grafana-api.ts'
import { dashboards } from './json/index.ts'

type Source = ReturnType<typeof dataSourceModel>

/** What the files give to the first organization: the data source, and the dashboards in folders that nobody edits. */
export async function furnishOrganization(
  api: GrafanaApi,
  organization: number,
  source: Source,
  options: { isForced: boolean },
): Promise<void> {
  const found = await api.call<{ url: string; user: string }>(organization, 'GET', `/api/datasources/uid/${source.uid}`)
  if (!found) await api.call(organization, 'POST', '/api/datasources', source)
  // Grafana shows no password, so the source is written again whenever it may be another one.
  else if (options.isForced || found.url !== source.url || found.user !== source.user)
    await api.call(organization, 'PUT', `/api/datasources/uid/${source.uid}`, source)
  for (const [file, dashboard] of Object.entries(dashboards)) {
    const folder = file.split('/')[0] ?? ''
    await ensureFolder(api, organization, folder)
    const present = await api.call(organization, 'GET', `/api/dashboards/uid/${dashboard.uid}`)
    if (present && !options.isForced) continue
    await api.call(organization, 'POST', '/api/dashboards/db', {
      dashboard: { ...dashboard, id: null },
      folderUid: folder,
      overwrite: true,
      message: 'From the server',
    })
  }
}

async function ensureFolder(api: GrafanaApi, organization: number, name: string): Promise<void> {
  if (await api.call(organization, 'GET', `/api/folders/${name}`)) return
  await api.call(organization, 'POST', '/api/folders', { uid: name, title: name })
  // Testers are editors; what the next start would write over is not theirs to edit.
  const items = ['Viewer', 'Editor'].map((role) => ({ role, permission: 1 }))
  await api.call(organization, 'POST', `/api/folders/${name}/permissions`, { items })
}
