import assert from 'node:assert/strict'
import type { Chance } from '../form.ts'
import type { Reference } from './reference.ts'
import type { MDevice, MLease } from './reference-parts.ts'
import type { World } from './world.ts'

/** The operations of people beside taking and giving back, on the product and on the reference. */
export function comparePeople(setting: {
  world: World
  model: Reference
  chance: Chance
  persons: readonly MLease[]
  users: readonly string[]
  assertNear: (time: string, expected: number) => void
}): Record<string, { weight: number; run: () => Promise<unknown> }> {
  const { world, model, chance, persons, users, assertNear } = setting
  const places = () => model.devices.flatMap((device) => device.places)
  const pickDevice = (): MDevice | undefined => chance.pick(model.devices)
  /** A place or a lease, also one that is over, with who believes to have it. */
  const pickOwn = (): { id: string; user: string } | undefined => {
    const place = chance.isTrue(0.5) ? chance.pick(places()) : undefined
    const lease = place ? undefined : chance.pick(persons.filter((one) => !one.isRun))
    return place ?? (lease && { id: lease.id, user: lease.holder })
  }

  /** The model takes over the exact moment at which a place falls silent: otherwise each comparison would need a wide border. */
  function agreeOnPlace(row: { id: string; expires_at: string }): void {
    const place = places().find((one) => one.id === row.id)
    if (!place) return
    assertNear(row.expires_at, place.expiresAt)
    place.expiresAt = Date.parse(row.expires_at)
  }

  return {
    take: {
      weight: 12,
      async run() {
        const device = pickDevice()
        const user = chance.pick(users)
        if (!device || !user) return
        const input = { user, wait: chance.isTrue(0.8), priority: chance.pick([10, 50, 50, 50, 90]) ?? 50 }
        const outcome = await world.take(device.world, input)
        const id = 'lease' in outcome ? outcome.lease.id : ''
        const requested_at = outcome.kind === 'waiting' ? await world.requestedAt(id) : ''
        const expected = model.take(device, input, { id, requested_at }, Date.now())
        if (outcome.kind === 'waiting') agreeOnPlace(outcome.lease)
        assert.equal(outcome.kind, expected, `${user} takes ${device.world.key}, ${input.wait ? 'waiting' : 'not waiting'}`)
        if (outcome.kind === 'held') {
          assert.equal(outcome.lease.token, device.lease?.token, 'token of who takes')
          if (device.lease) assertNear(outcome.lease.expires_at, device.lease.expiresAt)
        }
      },
    },
    heartbeat: {
      weight: 14,
      async run() {
        const own = pickOwn()
        if (!own) return
        const active = chance.isTrue(0.5)
        const expected = model.heartbeat(own.id, active, Date.now())
        const lease = await world.heartbeat(own.id, own.user, active)
        assert.equal(typeof lease === 'string' ? lease : lease.status, expected, 'heartbeat')
        if (typeof lease !== 'string' && lease.status === 'waiting') agreeOnPlace(lease)
      },
    },
    extend: {
      weight: 3,
      async run() {
        const lease = chance.pick(persons.filter((one) => !one.isRun))
        if (!lease) return
        const seconds = chance.pick([60, 600, 3600, 7200]) ?? 60
        const { holder } = lease
        const expected = model.extend(lease, seconds, Date.now())
        const extended = await world.extend(lease.id, holder, seconds)
        assert.equal(typeof extended === 'string' ? extended : extended.status, expected, `extension by ${seconds} s`)
      },
    },
    leave: {
      weight: 4,
      async run() {
        const own = pickOwn()
        if (!own) return
        const expected = model.leave(own.id, Date.now())
        assert.equal(await world.leave(own.id, own.user), expected, 'leave')
      },
    },
    ask: {
      weight: 6,
      async run() {
        const device = chance.isTrue(0.8)
          ? chance.pick(model.devices.filter((one) => one.lease && !one.lease.isRun))
          : pickDevice()
        const user = chance.pick(users)
        if (!device || !user) return
        const refusal = model.ask(device, user)
        const asked = await world.ask(device.world, user)
        if (typeof asked === 'string') return assert.equal(asked, refusal, 'a question')
        assert.equal(refusal, undefined, 'a question was stored that the model refuses')
        const { ask, waiting } = asked
        const requested_at = await world.requestedAt(waiting.id)
        model.storeAsk(device, user, { id: ask.id, placeId: waiting.id, requested_at }, Date.now())
        agreeOnPlace(waiting)
        assert.ok(model.asks.some((one) => one.id === ask.id && one.place.id === waiting.id && one.status === 'open'))
      },
    },
    answer: {
      weight: 3,
      async run() {
        const open = model.asks.filter((one) => one.status === 'open')
        const ask = chance.pick(chance.isTrue(0.8) ? open : model.asks.slice(-20))
        if (!ask) return
        const isGiven = chance.isTrue(0.5)
        const { holder } = ask.lease
        const expected = model.answer(ask, isGiven, Date.now())
        const answer = await world.answer(ask.id, holder, isGiven)
        assert.equal(typeof answer === 'string' ? answer : answer.status, expected, 'answer to a question')
      },
    },
    grantWaiting: {
      weight: 4,
      async run() {
        model.grantWaiting(Date.now())
        await world.grantWaiting()
      },
    },
    maintenance: {
      weight: 3,
      async run() {
        const device = chance.isTrue(0.6)
          ? chance.pick(model.devices.filter((one) => one.status === 'maintenance'))
          : pickDevice()
        if (!device) return
        const wanted = device.status === 'maintenance' && chance.isTrue(0.9) ? 'available' : 'maintenance'
        const isForced = chance.isTrue(0.5)
        const expected = model.setStatus(device, wanted, isForced, Date.now())
        const answer = await world.setStatus(device.world, wanted, isForced)
        assert.equal(typeof answer === 'string' ? answer : 'changed', expected, `${device.status} to ${wanted}`)
      },
    },
  }
}
