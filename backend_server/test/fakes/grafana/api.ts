import type { DataSource } from './configuration.ts'
import type { Memory, Org } from './memory.ts'
import type { SignedIn } from './sign-on.ts'

export interface ApiRequest {
  method: string
  path: string
  body: Record<string, unknown>
  who: SignedIn
}
export interface ApiAnswer {
  status: number
  body: unknown
}
const say = (status: number, message: string): ApiAnswer => ({ status, body: { message } })
const forbidden = say(403, 'Permission denied')
const missing = say(404, 'Not found')

/** Organizations are the affair of the server's administrators, what is in one that of its own. */
export function answerApi(memory: Memory, request: ApiRequest): ApiAnswer | undefined {
  const { who, path, method } = request
  const parts = path.split('/').slice(2)
  if (path === '/api/user')
    return { status: 200, body: { ...pick(who.user), isGrafanaAdmin: who.user.isGrafanaAdmin, orgId: who.orgId } }
  if (path === '/api/user/orgs')
    return {
      status: 200,
      body: Object.entries(who.user.orgs).map(([id, role]) => ({
        orgId: Number(id),
        name: memory.orgOf(Number(id))?.name,
        role,
      })),
    }
  if (parts[0] === 'user' && parts[1] === 'using' && method === 'POST') {
    const orgId = Number(parts[2])
    if (who.user.orgs[orgId] === undefined) return say(401, 'Not a valid organization')
    who.user.orgId = orgId
    memory.save()
    return say(200, 'Active organization changed')
  }
  if (parts[0] === 'orgs' || parts[0] === 'admin' || parts[0] === 'users')
    return who.user.isGrafanaAdmin ? answerOrgs(memory, request, parts) : forbidden
  const org = memory.orgOf(who.orgId)
  if (!org || who.role === undefined) return forbidden
  const answer = answerInside(memory, org, request, parts)
  memory.save()
  return answer
}

const pick = ({ id, login, name }: SignedIn['user']) => ({ id, login, name })

function answerOrgs(memory: Memory, { method, body, who }: ApiRequest, parts: string[]): ApiAnswer | undefined {
  if (parts[0] !== 'orgs') return undefined
  const name = String(body.name)
  if (method === 'GET' && parts.length === 1)
    return { status: 200, body: memory.state.orgs.map((org) => ({ id: org.id, name: org.name })) }
  if (method === 'POST' && parts.length === 1) {
    const org = memory.addOrg(name)
    if (!org) return say(409, 'Organization name taken')
    who.user.orgs[org.id] = 'Admin'
    memory.save()
    return { status: 200, body: { orgId: org.id, message: 'Organization created' } }
  }
  const org = memory.orgOf(Number(parts[1]))
  if (!org) return missing
  if (method === 'GET') return { status: 200, body: { id: org.id, name: org.name } }
  if (method !== 'PUT') return undefined
  if (memory.state.orgs.some((other) => other !== org && other.name === name)) return say(400, 'Organization name taken')
  org.name = name
  memory.save()
  return say(200, 'Organization updated')
}

function answerInside(memory: Memory, org: Org, request: ApiRequest, parts: string[]): ApiAnswer | undefined {
  const { method, body, who } = request
  const isAdmin = who.role === 'Admin'
  if (parts[0] === 'org' && parts.length === 1) return { status: 200, body: { id: org.id, name: org.name } }
  if (parts[0] === 'org' && parts[1] === 'users' && method === 'POST') {
    if (!isAdmin) return forbidden
    const user = memory.state.users.find((one) => one.login === body.loginOrEmail)
    if (!user) return missing
    user.orgs[org.id] = body.role as 'Viewer'
    return say(200, 'User added to organization')
  }
  if (parts[0] === 'datasources') return answerSources(org, request, parts, isAdmin)
  if (parts[0] === 'folders') {
    const uid = parts[1] ?? String(body.uid)
    if (method === 'GET') return org.folders[uid] ? { status: 200, body: { uid, ...org.folders[uid] } } : missing
    if (who.role === 'Viewer') return forbidden
    if (parts[2] === 'permissions') {
      const folder = org.folders[uid]
      if (!folder) return missing
      folder.permissions = body.items
      return say(200, 'Folder permissions updated')
    }
    if (org.folders[uid]) return say(409, 'a folder with the same name already exists')
    org.folders[uid] = { title: String(body.title), permissions: null }
    return { status: 200, body: { uid } }
  }
  if (parts[0] === 'dashboards' && parts[1] === 'uid') {
    const found = org.dashboards[parts[2] ?? '']
    return found
      ? { status: 200, body: { meta: { provisioned: found.isProvisioned, folderUid: found.folder }, dashboard: found.content } }
      : say(404, 'Dashboard not found')
  }
  if (parts[0] === 'dashboards' && parts[1] === 'db' && method === 'POST') {
    if (!isAdmin) return forbidden
    const content = body.dashboard as { uid: string }
    const folder = String(body.folderUid)
    if (!org.folders[folder]) return say(400, 'folder not found')
    if (org.dashboards[content.uid] && body.overwrite !== true) return say(412, 'A dashboard with the same uid already exists')
    org.dashboards[content.uid] = { folder, isProvisioned: false, content }
    return { status: 200, body: { uid: content.uid, status: 'success' } }
  }
  return undefined
}

function answerSources(org: Org, { method, body }: ApiRequest, parts: string[], isAdmin: boolean): ApiAnswer {
  if (!isAdmin) return forbidden
  if (method === 'POST') {
    const source = body as unknown as DataSource
    if (org.dataSources[source.uid]) return say(409, 'data source with the same uid already exists')
    org.dataSources[source.uid] = { ...source, readOnly: false }
    return { status: 200, body: { datasource: { uid: source.uid } } }
  }
  const found = org.dataSources[parts[2] ?? '']
  if (!found) return say(404, 'Data source not found')
  const { secureJsonData: _hidden, ...shown } = found
  if (method === 'GET') return { status: 200, body: shown }
  if (found.readOnly) return say(403, 'Cannot update read-only data source')
  if (method === 'PUT') Object.assign(found, body)
  if (method === 'DELETE') delete org.dataSources[found.uid]
  return say(200, 'Datasource changed')
}
