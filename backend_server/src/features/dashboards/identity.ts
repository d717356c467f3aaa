import type { Role } from '@virtualpytest/shared'
import type { SignOnKey } from './sign-on-key.ts'

/** The header in which the embedded Grafana finds a signed identity; clients may not send it. */
export const assertionHeader = 'X-JWT-Assertion'
/** Which organization a request is about. Grafana compares it with the memberships; clients may not send it either. */
export const organizationHeader = 'x-grafana-org-id'
/** What an external Grafana believes from the address of this server only. */
const proxyHeaders = { user: 'x-webauth-user', name: 'x-webauth-name', role: 'x-webauth-role' } as const

/**
 * What clients may not send to Grafana: identities of any kind of proxy, another organization, and credentials, which are
 * either meant for this server or a way around it.
 */
export const withheldHeaders =
  /^(x-webauth-.*|authorization|x-api-key|x-jwt-assertion|x-id-token|x-access-token|x-grafana-(id|org-id|user|device-id)|x-auth-request-.*|x-forwarded-user|x-remote-user|remote-user)$/

const grafanaRole: Record<Role, 'Viewer' | 'Editor' | 'Admin'> = { viewer: 'Viewer', tester: 'Editor', admin: 'Admin' }
export const grafanaRoles = Object.values(grafanaRole)

/** As `organizationMapping` of the settings maps it to an organization and a role. */
export const membershipName = (organization: number, role: string): string => `${organization}-${role.toLowerCase()}`

export interface Person {
  tokenId: string
  name: string
  role: Role
}

/** Everybody, where login is off. */
export const anybody: Person = { tokenId: '', name: 'Lab', role: 'viewer' }

const loginOf = (person: Person): string =>
  // The end, which is part of an id, keeps two people of one spelling apart, and people from this server's own users.
  person.tokenId === '' ? 'lab' : `${plainText(person.name)}.${person.tokenId.slice(0, 8)}`

/** Headers for the embedded Grafana. It makes the person a member of this organization in this role, and of no other. */
export const signedHeaders = (key: SignOnKey, person: Person, organization: number, now?: number): Record<string, string> => ({
  [assertionHeader.toLowerCase()]: key.sign(
    {
      sub: person.tokenId === '' ? 'lab' : person.tokenId,
      login: loginOf(person),
      name: plainText(person.name),
      orgs: [membershipName(organization, grafanaRole[person.role])],
    },
    now,
  ),
  [organizationHeader]: String(organization),
})

/** This server itself, which makes organizations, or what is in one of them. */
export const serverHeaders = (key: SignOnKey, organization: 'all' | number): Record<string, string> => {
  const number = organization === 'all' ? 1 : organization
  const login = organization === 'all' ? 'virtualpytest-server' : `virtualpytest-server-${organization}`
  return {
    [assertionHeader.toLowerCase()]: key.sign({
      sub: login,
      login,
      name: 'VirtualPyTest server',
      orgs: [membershipName(number, 'Admin')],
      ...(organization === 'all' && { role: 'GrafanaAdmin' }),
    }),
    [organizationHeader]: String(number),
  }
}

/** Headers for an external Grafana, which knows one organization. */
export const plainHeaders = (person: Person): Record<string, string> => ({
  [proxyHeaders.user]: loginOf(person),
  [proxyHeaders.name]: plainText(person.name),
  [proxyHeaders.role]: grafanaRole[person.role],
})

/** Headers carry ASCII. */
const plainText = (text: string): string =>
  text
    .normalize('NFKD')
    .replace(/\p{Mark}/gu, '')
    .replace(/[^\w .@-]/g, '_')
    .trim()
    .slice(0, 100) || 'person'
