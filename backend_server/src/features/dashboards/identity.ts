import type { Role } from '@virtualpytest/shared'

/** The headers by which Grafana believes who asks. Its whitelist allows them from 127.0.0.1 only; clients may not send them. */
export const identityHeaders = { user: 'X-WEBAUTH-USER', name: 'X-WEBAUTH-NAME', role: 'X-WEBAUTH-ROLE' } as const

/**
 * What clients may not send to Grafana: identities of any kind of proxy, and credentials, which are either meant for this
 * server or a way around it.
 */
export const withheldHeaders =
  /^(x-webauth-.*|authorization|x-api-key|x-jwt-assertion|x-id-token|x-access-token|x-grafana-id|x-auth-request-.*|x-forwarded-user|x-remote-user|remote-user)$/

const grafanaRole: Record<Role, string> = { viewer: 'Viewer', tester: 'Editor', admin: 'Admin' }

export interface Person {
  tokenId: string
  name: string
  role: Role
}

export const personHeaders = (person: Person): Record<string, string> => {
  const name = plainText(person.name)
  return {
    [identityHeaders.user.toLowerCase()]: `${name}.${person.tokenId.slice(0, 8)}`,
    [identityHeaders.name.toLowerCase()]: name,
    [identityHeaders.role.toLowerCase()]: grafanaRole[person.role],
  }
}

/** Everybody, where login is off. */
export const anybodyHeaders: Record<string, string> = {
  [identityHeaders.user.toLowerCase()]: 'lab',
  [identityHeaders.name.toLowerCase()]: 'Lab',
  [identityHeaders.role.toLowerCase()]: 'Viewer',
}

/** Headers carry ASCII; the end of the user name, which is part of an id, keeps two people of one spelling apart. */
const plainText = (text: string): string =>
  text
    .normalize('NFKD')
    .replace(/\p{Mark}/gu, '')
    .replace(/[^\w .@-]/g, '_')
    .trim()
    .slice(0, 100) || 'person'
