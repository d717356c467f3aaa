import assert from 'node:assert/strict'
import type { Chance } from '../form.ts'
import { comparePeople } from './compare-people.ts'
import { createReference } from './reference.ts'
import { isWithHost, type MHost, type MLease, type MRun } from './reference-parts.ts'
import type { Outcome, Submit, World } from './world.ts'

/*
 * Random operations, one after the other, on the product and on the reference. After each one the answers are compared, and
 * every few hundred the whole state.
 */

const users = ['ann', 'bob', 'cem', 'dora', 'eva']
const ticks = [1, 1, 4, 4, 11, 11, 31, 31, 31, 70, 130, 320, 700]
const outcomes: Outcome[] = ['passed', 'passed', 'passed', 'failed', 'error', 'cancelled']
const rememberedRuns = 60
const borderMs = 5000

export async function compareSteps(world: World, chance: Chance, options: { steps: number; compareEvery: number }) {
  const model = createReference(world.hosts, Date.now())
  const recent: MRun[] = []
  const persons: MLease[] = []
  const counts: Record<string, number> = {}
  const term = (await world.takeLead('model')) ?? 0
  let lead = term
  let keyNumber = 0

  const pickRun = (): MRun | undefined => chance.pick(chance.isTrue(0.85) ? model.openRuns() : recent)
  const remember = (run: MRun): void => {
    recent.push(run)
    if (recent.length > rememberedRuns) recent.shift()
  }

  /** Orders that reached a host: the agent has the run from then on, whatever the server thinks of it later. */
  function deliver(): void {
    for (const order of world.takeStarted()) {
      const run = model.runs.get(order.run_id)
      assert.ok(run, 'an order for a run nobody knows')
      assert.equal(order.token, run.token, `order of ${run.id} with another token than its lease`)
      if (run.device.host.world.isAgent) run.device.host.has.set(run.id, order.token)
    }
  }

  async function adoptRetries(now: number): Promise<void> {
    for (const run of [...model.runs.values()].filter((one) => one.mustRetry)) {
      const row = await world.retryOf(run.id)
      assert.ok(row, `run ${run.id} ended by infrastructure, and no new attempt waits`)
      remember(model.retry(run, row, now))
    }
  }

  /** Moves time on until no border is near: then a few milliseconds between model and database decide nothing. */
  async function settle(borders: () => number[], margin = borderMs): Promise<void> {
    for (let round = 0; round < 100; round += 1) {
      const now = Date.now()
      if (!borders().some((border) => Math.abs(border - now) < margin)) return
      await tick((2 * margin) / 1000 + 1)
    }
    throw new Error('no moment without a border was found')
  }
  async function tick(seconds: number): Promise<void> {
    await world.tick(seconds)
    model.tick(seconds)
  }

  const operations: Record<string, { weight: number; run: () => Promise<unknown> }> = {
    claim: {
      weight: 10,
      async run() {
        const device = chance.pick(model.devices)
        const user = chance.pick(users)
        if (!device || !user) return
        const expected = model.claim(device.world.id, user, Date.now())
        const lease = await world.claim(device.world, user)
        assert.equal(lease?.token, expected?.token, `claim of ${device.world.key} by ${user}`)
        if (!lease || !expected) return
        expected.id = lease.id
        assertNear(lease.expires_at, expected.expiresAt)
        model.leases.set(lease.id, expected)
        persons.push(expected)
      },
    },
    renew: {
      weight: 5,
      async run() {
        const lease = chance.pick(persons)
        if (!lease) return
        const isRenewed = model.renew(lease, Date.now())
        const renewed = await world.renew(lease.id)
        assert.equal(renewed !== undefined, isRenewed, 'renewal of a lease')
        if (renewed) assertNear(renewed.expires_at, lease.expiresAt)
      },
    },
    release: {
      weight: 5,
      async run() {
        const lease = chance.pick(chance.isTrue(0.7) ? persons.filter(model.isHeld) : persons)
        if (!lease) return
        const ended = await world.release(lease.id)
        assert.equal(ended.length === 1, model.release(lease, Date.now()), 'release of a lease')
      },
    },
    takeAway: {
      weight: 1,
      async run() {
        const device = chance.pick(model.devices)
        const held = device && (await world.heldLease(device.world.id))
        assert.equal(held?.token, device?.lease?.token, 'holder of a device')
        if (!held || !device?.lease) return
        model.takeAway(device.lease, Date.now())
        await world.takeAway([held.id])
      },
    },
    submit: {
      weight: 14,
      async run() {
        // Often by somebody who holds the device: such a run borrows the lease.
        const own = chance.isTrue(0.3) ? chance.pick(persons.filter(model.isHeld)) : undefined
        const device = own?.device.world ?? chance.pick(world.devices)
        const user = own && !own.isRun ? own.holder : chance.pick(users)
        if (!device || !user || model.openRuns().length > 40) return
        keyNumber += 1
        const repeated = chance.isTrue(0.05) ? chance.pick([...model.keys.values()].slice(-20)) : undefined
        const fresh: Submit = {
          device,
          user,
          queue: own === undefined && chance.isTrue(0.7),
          retries: chance.pick([0, 0, 0, 1, 2]) ?? 0,
          priority: chance.pick([10, 50, 50, 90]) ?? 50,
          key: chance.isTrue(0.3) ? `key-${keyNumber}` : null,
        }
        const input = repeated?.input ?? fresh
        const now = Date.now()
        const refusal = repeated ? undefined : model.refusalOf(input, now)
        const row = await world.submit(input)
        if (repeated) assert.equal(typeof row === 'string' ? row : row.id, repeated.run.id, 'a repeated key answers its run')
        if (repeated || typeof row === 'string') return assert.equal(typeof row === 'string' ? row : undefined, refusal)
        assert.equal(refusal, undefined, 'a run was stored where the model refuses it')
        const run = model.submit(input, row, now)
        remember(run)
        assert.deepEqual([row.status, row.lease_token ?? undefined], [run.status, run.token], 'a submitted run')
      },
    },
    dispatch: {
      weight: 10,
      async run() {
        const run = chance.pick(model.openRuns().filter((one) => one.status === 'assigned' && !one.isDispatched)) ?? pickRun()
        if (!run) return
        const now = Date.now()
        const answers = world.reachable.has(run.device.host.world.name)
        const arrives = model.dispatch(run, answers, now)
        await world.dispatch(run.id)
        const before = run.device.host.has.size
        deliver()
        if (arrives && run.device.host.world.isAgent)
          assert.ok(run.device.host.has.size >= before && run.device.host.has.has(run.id))
        await adoptRetries(now)
      },
    },
    assignWaiting: {
      weight: 8,
      async run() {
        const now = Date.now()
        for (const run of model.assignWaiting(now)) model.dispatch(run, world.reachable.has(run.device.host.world.name), now)
        await world.assignWaiting()
        deliver()
        await adoptRetries(now)
      },
    },
    beat: {
      weight: 16,
      async run() {
        const host = chance.pick(model.hosts.filter((one) => world.reachable.has(one.world.name)))
        if (host) await beat(host)
      },
    },
    progress: {
      weight: 10,
      async run() {
        const run = pickRun()
        if (!run?.device.host.world.isAgent) return
        const token = (run.token ?? 1) + (chance.isTrue(0.15) ? (chance.pick([-1, 1]) ?? 0) : 0)
        if (token < 1) return
        const expected = model.progress(run, token)
        const answer = await world.progress(run.device.host.world.name, run.id, token)
        assert.deepEqual(
          typeof answer === 'string' ? answer : { cancel: answer.cancel },
          expected,
          `progress of a run ${run.status}`,
        )
      },
    },
    complete: {
      weight: 12,
      async run() {
        const run = chance.isTrue(0.7) ? chance.pick(model.openRuns().filter(isWithHost)) : pickRun()
        const outcome = chance.pick(outcomes)
        if (!run || !outcome) return
        const { name, isAgent } = run.device.host.world
        const old = chance.isTrue(0.1) ? -1 : 0
        const token = !isAgent || chance.isTrue(0.02) ? undefined : Math.max(1, (run.token ?? 1) + old)
        const now = Date.now()
        const expected = model.complete(run, token, outcome, now)
        const answer = await world.complete({ hostName: name, runId: run.id, token, outcome })
        assert.equal(answer, expected, `result ${outcome} with token ${token}, run ${run.status} with token ${run.token}`)
        run.device.host.has.delete(run.id)
        await adoptRetries(now)
      },
    },
    cancel: {
      weight: 3,
      async run() {
        const run = pickRun()
        if (!run) return
        const expected = model.cancel(run, Date.now())
        const answer = await world.cancel(run.id)
        assert.equal(typeof answer === 'string' ? answer : answer.status, expected, 'cancel')
      },
    },
    unregister: {
      weight: 0.4,
      async run() {
        const host = chance.pick(model.hosts)
        if (!host) return
        const now = Date.now()
        model.unregister(host, now)
        await world.unregister(host.world)
        await adoptRetries(now)
      },
    },
    crash: {
      weight: 1,
      async run() {
        chance.pick(model.hosts)?.has.clear()
      },
    },
    partition: {
      weight: 3,
      async run() {
        const name = chance.pick(model.hosts)?.world.name
        if (name === undefined) return
        if (world.reachable.has(name) && world.reachable.size > 2) world.reachable.delete(name)
        else world.reachable.add(name)
      },
    },
    ...comparePeople({ world, model, chance, persons, users, assertNear }),
    tick: { weight: 5, run: () => tick(chance.pick(ticks) ?? 1) },
    sweep: { weight: 6, run: () => sweep() },
    staleTerm: {
      weight: 0.5,
      async run() {
        await settle(() => model.borders())
        await world.depose()
        assert.deepEqual(await world.sweep(lead), [], 'a leader whose term is over ended runs')
        lead = (await world.takeLead('model')) ?? 0
        assert.deepEqual(await world.sweep(lead - 1), [], 'a sweep under an old term ended runs')
      },
    },
  }

  async function beat(host: MHost): Promise<void> {
    await settle(() => model.orderBorders(host), 1000)
    const named = new Map(host.has)
    // Now and then it names a run that it never had, or one under a token that is not its own.
    const ownRuns = model.openRuns().filter((run) => run.device.host === host && isWithHost(run))
    const claimed = chance.isTrue(0.3) ? (chance.pick(ownRuns) ?? pickRun()) : undefined
    if (claimed) named.set(claimed.id, (claimed.token ?? 1) + chance.between(0, 1))
    const leases = [...named].map(([run_id, token]) => ({
      run_id,
      token,
      device_id: model.runs.get(run_id)?.device.world.key ?? '',
    }))
    const expected = model.beat(host, named, Date.now())
    const answer = await world.beat(host.world, leases)
    assert.ok(answer.registered)
    const ids = (list: { run_id: string }[]): string[] => list.map((one) => one.run_id).toSorted()
    assert.deepEqual(ids(answer.lostLeases), expected.lost.toSorted(), 'leases a beat was told it lost')
    assert.deepEqual(ids(answer.runs), expected.orders.toSorted(), 'orders a beat brought')
    for (const id of expected.lost) host.has.delete(id)
    if (claimed && !expected.lost.includes(claimed.id)) host.has.set(claimed.id, claimed.token ?? 1)
    for (const order of answer.runs) {
      assert.equal(order.token, model.runs.get(order.run_id)?.token)
      host.has.set(order.run_id, order.token)
    }
  }

  async function sweep(): Promise<void> {
    lead = (await world.takeLead('model')) ?? 0
    await settle(() => model.borders())
    const now = Date.now()
    const expected = model.sweep(now)
    const ended = await world.sweep(lead)
    const show = (list: { id: string; status: string; code: string | null | undefined }[]): string[] =>
      list.map((run) => `${run.id} ${run.status} ${run.code ?? ''}`).toSorted()
    assert.deepEqual(
      show(ended.map((run) => ({ id: run.id, status: run.status, code: run.error_code }))),
      show(expected.map((run) => ({ id: run.id, status: run.status, code: run.errorCode }))),
      'runs that a sweep ended',
    )
    await adoptRetries(now)
  }

  async function compareAll(): Promise<void> {
    const state = await world.readState()
    const lines = (list: (string | number | null | undefined)[][]): string[] => list.map((line) => line.join(' ')).toSorted()
    assert.deepEqual(
      lines(state.devices.map((device) => [device.id, device.status, device.fence])),
      lines(model.devices.map((device) => [device.world.id, device.status, device.fence])),
      'devices',
    )
    assert.deepEqual(
      lines(state.leases.map((lease) => [lease.device_id, lease.token, lease.holder_id])),
      lines(model.devices.flatMap(({ world: { id }, lease }) => (lease ? [[id, lease.token, lease.holder]] : []))),
      'held leases',
    )
    for (const { id, expires_at } of state.leases) {
      const known = model.leases.get(id)
      if (known && !known.isRun && !model.openRunOn(known)) assertNear(expires_at, known.expiresAt, 10_000)
    }
    assert.deepEqual(
      lines(state.places.map((place) => [place.id, place.device_id, place.holder_id, place.priority])),
      lines(
        model.devices.flatMap(({ world: { id }, places }) => places.map((place) => [place.id, id, place.user, place.priority])),
      ),
      'places in lines',
    )
    assert.deepEqual(
      lines(state.asks.map((ask) => [ask.id, ask.status])),
      lines(model.asks.map((ask) => [ask.id, ask.status])),
      'questions to holders',
    )
    assert.deepEqual(
      lines(state.runs.map((run) => [run.id, run.status, run.lease_token, run.attempt])),
      lines([...model.runs.values()].map((run) => [run.id, run.status, run.token, run.attempt])),
      'runs',
    )
  }

  const weighted = Object.entries(operations).map(([name, operation]) => ({ name, ...operation }))
  const log: string[] = []
  for (let step = 1; step <= options.steps; step += 1) {
    const operation = chance.weigh(weighted)
    const name = operation?.name ?? ''
    log.push(name)
    if (log.length > 30) log.shift()
    try {
      // Who falls silent just now would be passed over by one side and not by the other.
      await settle(() => model.placeBorders().filter((border) => border > Date.now() - 50), 1500)
      await operation?.run()
      persons.push(...model.takeFromLine())
      persons.splice(0, Math.max(0, persons.length - 20))
      if (step % options.compareEvery === 0) await compareAll()
    } catch (error) {
      if (error instanceof Error) error.message = `step ${step} (${name}, after ${log.slice(0, -1).join(' ')}): ${error.message}`
      throw error
    }
    counts[name] = (counts[name] ?? 0) + 1
  }

  /** Nobody does anything any more: whatever is open must end by itself. */
  for (let round = 0; round < 10 && model.openRuns().length > 0; round += 1) {
    await tick(7200)
    await sweep()
  }
  await compareAll()
  assert.deepEqual(model.openRuns(), [], 'every run ends')
  return { counts, runs: model.runs.size, grants: model.devices.reduce((sum, device) => sum + device.fence, 0) }
}

function assertNear(time: string, expected: number, toleranceMs = 2000): void {
  assert.ok(Math.abs(Date.parse(time) - expected) < toleranceMs, `${time} is not about ${new Date(expected).toISOString()}`)
}
