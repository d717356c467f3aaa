import { createPublicKey, type KeyObject, verify } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import type { Configuration } from './configuration.ts'
import type { Memory, OrgRole, User } from './memory.ts'

/** Somebody who is signed in, in the organization of this request. */
export interface SignedIn {
  user: User
  orgId: number
  /** Undefined where he is no member of it: then he may do nothing there. */
  role: OrgRole | undefined
}

interface Claims {
  iss?: string
  sub?: string
  exp?: number
  iat?: number
  name?: string
  login?: string
  role?: string
  orgs?: string[]
}

const order: readonly string[] = ['Viewer', 'Editor', 'Admin']
const isRole = (text: string | undefined): text is OrgRole => order.includes(text ?? '')

export function createSignOn(config: Configuration, memory: Memory) {
  const { setting, isOn } = config
  const key: KeyObject | undefined = isOn('auth.jwt', 'enabled')
    ? createPublicKey(readFileSync(setting('auth.jwt', 'key_file')))
    : undefined
  const mapping = new Map<string, [org: number, role: OrgRole]>()
  for (const one of setting('auth.jwt', 'org_mapping').split(/[\s,]+/)) {
    const [external = '', org = '', role = ''] = one.split(':')
    if (isRole(role)) mapping.set(external, [Number(org), role])
  }
  const expected = JSON.parse(setting('auth.jwt', 'expect_claims', '{}')) as Record<string, unknown>

  function verified(token: string): Claims | undefined {
    const [head = '', body = '', signature = ''] = token.replace(/^Bearer /, '').split('.')
    if (!key) return undefined
    const isSigned = verify(
      'sha256',
      Buffer.from(`${head}.${body}`),
      { key, dsaEncoding: 'ieee-p1363' },
      Buffer.from(signature, 'base64url'),
    )
    if (!isSigned) return undefined
    const claims = JSON.parse(Buffer.from(body, 'base64url').toString()) as Claims & Record<string, unknown>
    const seconds = Date.now() / 1000
    // A minute of difference between two clocks is allowed.
    if ((claims.exp ?? Number.POSITIVE_INFINITY) < seconds - 60 || (claims.iat ?? 0) > seconds + 60) return undefined
    if (Object.entries(expected).some(([name, value]) => claims[name] !== value)) return undefined
    return claims
  }

  function rolesOf(claims: Claims): Map<number, OrgRole> {
    const direct = claims.role === 'GrafanaAdmin' ? 'Admin' : isRole(claims.role) ? claims.role : undefined
    const roles = new Map<number, OrgRole>()
    for (const external of claims.orgs ?? []) {
      const mapped = mapping.get(external)
      if (mapped) roles.set(mapped[0], topRole(topRole(mapped[1], roles.get(mapped[0])), direct))
    }
    if (roles.size === 0 && (direct || !isOn('auth.jwt', 'role_attribute_strict'))) {
      const fallback = setting('users', 'auto_assign_org_role', 'Viewer')
      roles.set(Number(setting('users', 'auto_assign_org_id', '1')), direct ?? (isRole(fallback) ? fallback : 'Viewer'))
    }
    return roles
  }

  /** What Grafana does at each signed request: make the user, and set his memberships to exactly those of the token. */
  function synced(claims: Claims, requestedOrg: number): SignedIn | undefined {
    const roles = rolesOf(claims)
    if (!claims.sub || !claims.login || roles.size === 0) return undefined
    const isGrafanaAdmin = isOn('auth.jwt', 'allow_assign_grafana_admin') && claims.role === 'GrafanaAdmin'
    let user = memory.state.users.find((one) => one.authId === claims.sub)
    if (!user) {
      if (!isOn('auth.jwt', 'auto_sign_up')) return undefined
      const id = memory.state.users.length + 1
      user = { id, authId: claims.sub, login: claims.login, name: '', isGrafanaAdmin, orgId: 1, orgs: {} }
      memory.state.users.push(user)
    }
    Object.assign(user, { login: claims.login, name: claims.name ?? '', isGrafanaAdmin })
    for (const [org, role] of roles) if (memory.orgOf(org)) user.orgs[org] = role
    for (const org of Object.keys(user.orgs).map(Number)) {
      if (roles.has(org) || isLastAdmin(org, user)) continue
      delete user.orgs[org]
    }
    if (!roles.has(requestedOrg)) {
      const [first = 0] = [...roles.keys()].toSorted((a, b) => a - b)
      // The change of organization fails for one that he is no member of, and with it the sign-on.
      if (user.orgs[first] === undefined) return undefined
      user.orgId = first
    }
    memory.save()
    const orgId = requestedOrg || user.orgId
    return { user, orgId, role: user.orgs[orgId] }
  }

  function isLastAdmin(org: number, user: User): boolean {
    return user.orgs[org] === 'Admin' && !memory.state.users.some((other) => other !== user && other.orgs[org] === 'Admin')
  }

  return function whoIs(request: IncomingMessage): SignedIn | undefined {
    const header = (name: string): string | undefined => request.headers[name.toLowerCase()]?.toString()
    const query = new URL(request.url ?? '/', 'http://x').searchParams
    // The query counts more than the header.
    const requestedOrg = Number(query.get('targetOrgId') ?? header('x-grafana-org-id') ?? 0) || 0
    const token = header(setting('auth.jwt', 'header_name'))
    if (key && token) {
      const claims = verified(token)
      return claims && synced(claims, requestedOrg)
    }
    return isOn('auth.anonymous', 'enabled')
      ? {
          user: { id: 0, authId: '', login: '', name: 'Anonymous', isGrafanaAdmin: false, orgId: 1, orgs: { 1: 'Viewer' } },
          orgId: 1,
          role: 'Viewer',
        }
      : undefined
  }
}

const topRole = (one: OrgRole, other: OrgRole | undefined): OrgRole =>
  other !== undefined && order.indexOf(other) > order.indexOf(one) ? other : one
