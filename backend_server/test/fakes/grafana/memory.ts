import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Configuration, DataSource } from './configuration.ts'

export type OrgRole = 'Viewer' | 'Editor' | 'Admin'

export interface User {
  id: number
  /** The external subject that this user belongs to. */
  authId: string
  login: string
  name: string
  isGrafanaAdmin: boolean
  /** The organization he looks at unless a request names another. */
  orgId: number
  orgs: Record<number, OrgRole>
}

export interface Org {
  id: number
  name: string
  dataSources: Record<string, DataSource>
  folders: Record<string, { title: string; permissions: unknown }>
  dashboards: Record<string, { folder: string; isProvisioned: boolean; content: unknown }>
}

interface State {
  lastOrgId: number
  orgs: Org[]
  users: User[]
}

/** What Grafana keeps in its SQLite file: without the file it begins anew, with one organization. */
export function openMemory(config: Configuration) {
  const file = path.join(config.setting('paths', 'data'), 'grafana.db')
  const state = read(file) ?? { lastOrgId: 0, orgs: [], users: [] }
  const save = (): void => writeFileSync(file, JSON.stringify(state))
  const orgOf = (id: number): Org | undefined => state.orgs.find((org) => org.id === id)

  function addOrg(name: string): Org | undefined {
    if (state.orgs.some((org) => org.name === name)) return undefined
    // Numbers of a SQLite sequence: upwards only.
    state.lastOrgId += 1
    const org: Org = { id: state.lastOrgId, name, dataSources: {}, folders: {}, dashboards: {} }
    state.orgs.push(org)
    save()
    return org
  }

  if (state.orgs.length === 0) addOrg('Main Org.')
  for (const { orgId, ...source } of config.dataSources) {
    const org = orgOf(orgId)
    // A provisioning file for an organization that does not exist ends the start.
    if (!org) throw new Error(`Datasource provisioning error: org not found: ${orgId}`)
    org.dataSources[source.uid] = { ...source, readOnly: true }
  }
  for (const { orgId, folder, uid, content } of config.dashboards) {
    const org = orgOf(orgId)
    if (!org) throw new Error(`Dashboard provisioning error: org not found: ${orgId}`)
    org.dashboards[uid] = { folder, isProvisioned: true, content }
  }
  save()
  return { state, save, orgOf, addOrg }
}
export type Memory = ReturnType<typeof openMemory>

function read(file: string): State | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as State
  } catch {
    return undefined
  }
}
