import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { type Chance, createChance } from '../form.ts'
import type { Outcome, Submit, World, WorldDevice } from './world.ts'

/*
 * The same operations by several actors at once, on as few devices as possible. Nobody can say beforehand who wins; what
 * the actors write down here is compared afterwards with the history of events.
 */

const users = ['ann', 'bob', 'cem', 'dora', 'eva']
const outcomes: Outcome[] = ['passed', 'passed', 'failed', 'error', 'cancelled']
/** Outcomes of a race that was lost. Anything else an operation throws or answers is a failure. */
const refusals = new Set(['stale_token', 'run_finished', 'device_locked', 'device_in_maintenance', 'host_offline'])
const remembered = { leases: 6, runs: 14 }

export interface Book {
  /** Results that were accepted, by run, in the order of their answers. */
  accepted: Map<string, Outcome[]>
  submitted: Set<string>
  operations: number
}

export async function runActors(world: World, seed: number, options: { actors: number; steps: number }): Promise<Book> {
  const book: Book = { accepted: new Map(), submitted: new Set(), operations: 0 }
  /** What is known to all actors, also when it is over: a holder that slept acts on such knowledge. */
  const leases: { id: string; device: WorldDevice; user: string }[] = []
  const runs: { id: string; device: WorldDevice; token: number | null }[] = []
  const remember = <T>(list: T[], item: T, most: number): void => {
    list.push(item)
    if (list.length > most) list.shift()
  }

  function learnTokens(): void {
    for (const order of world.takeStarted()) {
      const run = runs.find((one) => one.id === order.run_id)
      if (run) run.token = order.token
    }
  }

  async function submit(chance: Chance): Promise<void> {
    // Often by somebody who holds the device: such a run borrows the lease.
    const own = chance.isTrue(0.4) ? chance.pick(leases) : undefined
    const device = own?.device ?? chance.pick(world.devices)
    const user = own?.user ?? chance.pick(users)
    if (!device || !user) return
    const input: Submit = {
      device,
      user,
      queue: own === undefined && chance.isTrue(0.7),
      retries: chance.between(0, 1),
      priority: chance.pick([10, 50, 90]) ?? 50,
      key: null,
    }
    const row = await world.submit(input)
    if (typeof row === 'string') return assert.ok(refusals.has(row), `submit answered ${row}`)
    book.submitted.add(row.id)
    remember(runs, { id: row.id, device, token: row.lease_token }, remembered.runs)
    if (row.status === 'assigned') await world.dispatch(row.id)
  }

  async function complete(chance: Chance): Promise<void> {
    const run = chance.pick(runs)
    const outcome = chance.pick(outcomes)
    if (!run || !outcome || run.token === null) return
    const { host } = run.device
    const token = Math.max(1, run.token - (chance.isTrue(0.1) ? 1 : 0))
    const answer = await world.complete({ hostName: host.name, runId: run.id, token: host.isAgent ? token : undefined, outcome })
    if (answer !== 'accepted') return assert.ok(answer === 'kept as evidence' || refusals.has(answer), `result: ${answer}`)
    const list = book.accepted.get(run.id) ?? []
    book.accepted.set(run.id, [...list, outcome])
  }

  async function progress(chance: Chance): Promise<void> {
    const run = chance.pick(runs)
    if (!run?.device.host.isAgent || run.token === null) return
    const token = Math.max(1, run.token - (chance.isTrue(0.1) ? 1 : 0))
    const answer = await world.progress(run.device.host.name, run.id, token)
    assert.ok(typeof answer !== 'string' || refusals.has(answer), `progress answered ${JSON.stringify(answer)}`)
  }

  async function beat(chance: Chance): Promise<void> {
    const host = chance.pick(world.hosts)
    if (!host) return
    const own = runs.filter((run) => run.device.host === host && run.token !== null && chance.isTrue(0.7))
    const answer = await world.beat(
      host,
      own.map((run) => ({ run_id: run.id, token: run.token ?? 1, device_id: run.device.key })),
    )
    for (const order of answer.runs) {
      const run = runs.find((one) => one.id === order.run_id)
      if (run) run.token = order.token
    }
  }

  async function sweep(chance: Chance, actor: number): Promise<void> {
    if (chance.isTrue(0.2)) await world.depose()
    const term = await world.takeLead(`actor ${actor}`)
    // Without the lead under a guessed term, as a leader that slept would.
    await world.sweep(term ?? chance.between(1, 50))
  }

  /** Whatever these answer is right: others may have ended the lease. */
  async function withLease(chance: Chance, work: (id: string, user: string) => Promise<unknown>): Promise<void> {
    const lease = chance.pick(leases)
    if (lease) await work(lease.id, lease.user)
  }

  const operations: { weight: number; run: (chance: Chance, actor: number) => Promise<unknown> }[] = [
    {
      weight: 14,
      async run(chance) {
        const device = chance.pick(world.devices)
        const user = chance.pick(users)
        const lease = device && user && (await world.claim(device, user))
        if (lease) remember(leases, { id: lease.id, device, user }, remembered.leases)
      },
    },
    {
      weight: 12,
      async run(chance) {
        const device = chance.pick(world.devices)
        const user = chance.pick(users)
        if (!device || !user) return
        const outcome = await world.take(device, { user, wait: true, priority: chance.pick([10, 50, 90]) ?? 50 })
        if ('lease' in outcome) remember(leases, { id: outcome.lease.id, device, user }, remembered.leases)
      },
    },
    { weight: 10, run: (chance) => withLease(chance, (id, user) => world.heartbeat(id, user, chance.isTrue(0.3))) },
    { weight: 2, run: (chance) => withLease(chance, (id, user) => world.extend(id, user, 600)) },
    { weight: 4, run: (chance) => withLease(chance, (id, user) => world.leave(id, user)) },
    {
      weight: 4,
      async run(chance) {
        const device = chance.pick(world.devices)
        const user = chance.pick(users)
        const asked = device && user && (await world.ask(device, user))
        if (!asked || typeof asked === 'string') return
        const holder = leases.find((lease) => lease.id === asked.ask.lease_id)?.user
        if (holder !== undefined && chance.isTrue(0.5)) await world.answer(asked.ask.id, holder, chance.isTrue(0.5))
      },
    },
    { weight: 4, run: () => world.grantWaiting() },
    {
      weight: 2,
      async run(chance) {
        const device = chance.pick(world.devices)
        if (device) await world.setStatus(device, chance.isTrue(0.85) ? 'available' : 'maintenance', chance.isTrue(0.5))
      },
    },
    { weight: 4, run: async (chance) => world.renew(chance.pick(leases)?.id ?? randomUUID()) },
    { weight: 10, run: async (chance) => world.release(chance.pick(leases)?.id ?? randomUUID()) },
    {
      weight: 3,
      async run(chance) {
        const device = chance.pick(world.devices)
        const held = device && (await world.heldLease(device.id))
        if (held) await world.takeAway([held.id])
      },
    },
    { weight: 14, run: submit },
    { weight: 8, run: () => world.assignWaiting() },
    { weight: 22, run: beat },
    { weight: 10, run: progress },
    { weight: 12, run: complete },
    {
      weight: 4,
      async run(chance) {
        const run = chance.pick(runs)
        const answer = run && (await world.cancel(run.id))
        assert.ok(typeof answer !== 'string' || refusals.has(answer), `cancel answered ${JSON.stringify(answer)}`)
      },
    },
    { weight: 0.5, run: async (chance) => unregister(chance) },
    { weight: 3, run: (chance) => world.tick(chance.pick([1, 2, 5, 5, 12, 31, 150]) ?? 1) },
    { weight: 6, run: sweep },
  ]
  async function unregister(chance: Chance): Promise<void> {
    const host = chance.pick(world.hosts)
    if (host) await world.unregister(host)
  }

  async function act(actor: number): Promise<void> {
    const chance = createChance(seed + actor)
    for (let step = 0; step < options.steps; step += 1) {
      await chance.weigh(operations)?.run(chance, actor)
      learnTokens()
      book.operations += 1
    }
  }
  await Promise.all(Array.from({ length: options.actors }, (_, actor) => act(actor)))
  return book
}
