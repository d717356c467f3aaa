import type { DeviceHolder, HeartbeatAnswer, Lease, LeaseAsk } from '@virtualpytest/shared'
import { type Answer, type Lab, until } from '../start-lab.ts'

export interface Person {
  name: string
  token: string
  take: (device?: string, more?: object) => Promise<Answer<TakeAnswer>>
  release: (device?: string) => Promise<Answer>
  ask: (
    device?: string,
    message?: string,
  ) => Promise<Answer<{ code?: string; ask: LeaseAsk; waiting: { lease_id: string; position: number } }>>
  answer: (askId: string, give: boolean, message?: string) => Promise<Answer<{ code?: string; ask: LeaseAsk }>>
  beat: (leaseId: string, active?: boolean) => Promise<Answer<HeartbeatAnswer & { code?: string; error?: string }>>
  extend: (leaseId: string, seconds: number) => Promise<Answer<{ code?: string; lease: Lease }>>
  leave: (leaseId: string) => Promise<Answer<{ code?: string; lease: Lease }>>
  holder: (device?: string) => Promise<DeviceHolder>
}

export interface TakeAnswer {
  code?: string
  error?: string
  locked_by?: string
  locked_by_name?: string
  locked_at?: number
  locked_until?: string
  leases?: { lease_id: string; token: number; expires_at: string }[]
  waiting?: boolean
  position?: number
  lease?: Lease
}

/** Somebody with an API token of their own, at the devices of the host lab-1. */
export async function addPerson(lab: Lab, name: string, role: 'viewer' | 'tester' | 'admin' = 'tester'): Promise<Person> {
  const { token } = await lab.addToken(name, role)
  const path = (device: string, what: string) => `/server/devices/lab-1/${device}/${what}`
  const target = (device: string) => ({ host_name: 'lab-1', device_id: device })
  return {
    name,
    token,
    take: (device = 'device1', more = {}) => lab.post('/server/control/takeControl', { ...target(device), ...more }, { token }),
    release: (device = 'device1') => lab.post('/server/control/releaseControl', target(device), { token }),
    ask: (device = 'device1', message = 'may I?') => lab.post(path(device, 'ask'), { message }, { token }),
    answer: (askId, give, message) => lab.post(`/server/lease-asks/${askId}/answer`, { give, message }, { token }),
    beat: (leaseId, active = false) => lab.post(`/server/leases/${leaseId}/heartbeat`, { active }, { token }),
    extend: (leaseId, seconds) => lab.post(`/server/leases/${leaseId}/extend`, { seconds }, { token }),
    leave: (leaseId) => lab.post(`/server/leases/${leaseId}/release`, {}, { token }),
    holder: async (device = 'device1') =>
      (await lab.get<{ device: DeviceHolder }>(path(device, 'holder'), { token })).body.device,
  }
}

export const leaseIdOf = (answer: Answer<TakeAnswer>): string => answer.body.leases?.[0]?.lease_id ?? answer.body.lease?.id ?? ''

export const heldBy = (person: Person, name: string | null, device = 'device1'): Promise<true | undefined> =>
  until(`${device} is held by ${name}`, async () => ((await person.holder(device)).holder?.name ?? null) === name || undefined)
