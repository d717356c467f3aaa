import assert from 'node:assert/strict'
import { until } from '../until.ts'
import type { PageServer } from './page-server.ts'
import type { Answer } from './person.ts'
import { box, browser, type Seat } from './screens.ts'
import { type Direction, type TopologyLab, untilDriven } from './start-topology.ts'
import { assertGood, type Lease, mediaOf, release, take } from './steps.ts'
import { assertPlayable, assertPressIsSeen, listOf, watchLive } from './watch-live.ts'

/** Two people at work on the two devices of one host. */
export interface Work {
  lab: TopologyLab
  direction: Direction
  page: PageServer
  boxSeat: Seat
  browserSeat: Seat
  leases: { box: Lease; browser: Lease }
}

export async function beginWork(lab: TopologyLab, direction: Direction, page: PageServer): Promise<Work> {
  const { hostName: host_name } = lab.agents[direction]
  const boxSeat = { person: lab.people.ann, target: { host_name, device_id: 'device1' } }
  const browserSeat = { person: lab.people.bob, target: { host_name, device_id: 'host' } }
  const leases = { box: await take(boxSeat), browser: await take(browserSeat) }
  await box.prepare(boxSeat, page)
  await browser.prepare(browserSeat, page)
  return { lab, direction, page, boxSeat, browserSeat, leases }
}

let calls = 0
/** A call that is in the middle: the page itself has said that its script has begun, and it never ends. */
async function beginLongCall({ browserSeat, page }: Work): Promise<{ answer: Promise<Answer> }> {
  calls += 1
  const name = `call-${calls}`
  await browser.prepare(browserSeat, page)
  const script = `fetch('/begun/${name}').then(() => new Promise(() => {}))`
  const answer = browserSeat.person.post('web/executeCommand', {
    ...browserSeat.target,
    command: 'execute_javascript',
    params: { script },
  })
  await until('the script has begun', () => page.begun.has(name))
  return { answer }
}

/** Both still have their device by the lease they took, and go on with its token. */
async function assertSameLeases({ boxSeat, browserSeat, leases }: Work): Promise<void> {
  const { body } = await boxSeat.person.get('/server/leases')
  const held = body.leases as { id: string; token: number; status: string }[]
  for (const { lease_id, token } of Object.values(leases)) {
    const found = held.find(({ id }) => id === lease_id)
    assert.deepEqual([found?.token, found?.status], [token, 'held'], JSON.stringify(body))
  }
  assertGood(await box.press(boxSeat, { token: leases.box.token }))
  assertGood(await browser.press(browserSeat, { token: leases.browser.token }))
}

const one = (pids: number[], what: string): number => {
  assert.equal(pids.length, 1, `${what}: ${pids.join()}`)
  return pids[0] ?? 0
}

export async function killFfmpeg({ lab, direction, boxSeat }: Work): Promise<void> {
  const list = `${mediaOf(boxSeat, box)}/segments/output.m3u8`
  await assertPlayable(boxSeat.person, list)
  const pid = one(lab.agents[direction].children(/ffmpeg .*output\.m3u8/), 'ffmpeg')
  const before = Math.max(...(await listOf(boxSeat.person, list)))
  process.kill(pid, 'SIGKILL')
  await until(
    'the list goes on after ffmpeg was killed',
    async () => Math.max(...(await listOf(boxSeat.person, list))) > before + 1,
  )
  assert.match((await boxSeat.person.get(list)).text, /#EXT-X-DISCONTINUITY/, 'players are told of the gap')
  await assertPlayable(boxSeat.person, list)
}

export async function killChromium(work: Work): Promise<void> {
  const { lab, direction, browserSeat, page, leases } = work
  const { person, target } = browserSeat
  const connected = async () => ((await person.mustPost('web/getStatus', target)).status as { connected: boolean }).connected
  assert.equal(await connected(), true)
  const viewer = await watchLive(person, `${mediaOf(browserSeat, browser)}/live.mjpeg?fps=10`)
  try {
    const { answer } = await beginLongCall(work)
    process.kill(one(lab.agents[direction].children(/vpt-chromium-/), 'chromium'), 'SIGKILL')
    const said = await answer
    assert.deepEqual([said.status, said.body.success], [200, false], said.text)
    assert.match(String(said.body.error), /closed|crashed/)
    await until('the driver says that there is no browser', async () => !(await connected()))
    const again = await take(browserSeat)
    assert.deepEqual([again.lease_id, again.token], [leases.browser.lease_id, leases.browser.token])
    assert.equal(await connected(), true, 'taking the device starts a browser')
    await browser.prepare(browserSeat, page)
    await assertPressIsSeen(viewer, async () => assertGood(await browser.press(browserSeat)))
  } finally {
    viewer.close()
  }
}

export async function killServer(works: Work[]): Promise<void> {
  const [{ lab } = { lab: undefined }] = works
  assert.ok(lab)
  const calls = []
  for (const work of works) calls.push(await beginLongCall(work))
  const { child, ended } = lab.server.current()
  child.kill('SIGKILL')
  await ended
  for (const { answer } of calls) {
    const { status, text } = await answer
    assert.ok(status === 0 || status === 502, `nothing that looks like a result: ${status} ${text}`)
  }
  lab.server.start()
  await lab.server.waitUntilReady()
  for (const work of works) {
    await untilDriven(lab, lab.agents[work.direction])
    await assertSameLeases(work)
    assert.ok(await browser.find(work.browserSeat), 'the browser has gone on meanwhile')
  }
}

export async function killAgent(work: Work): Promise<void> {
  const { lab, direction, boxSeat, browserSeat, page } = work
  const agent = lab.agents[direction]
  const { answer } = await beginLongCall(work)
  await agent.kill()
  // Of a call in the middle nobody knows whether it was done; the next one cannot even begin.
  const expected = { url: ['host_unreachable', 'host_unreachable'], link: ['host_link_lost', 'host_unreachable'] }
  for (const [index, { status, body, text }] of [await answer, await box.press(boxSeat)].entries())
    assert.deepEqual([status, body.code, body.errorType], [503, expected[direction][index], 'network_error'], text)
  agent.start()
  await untilDriven(lab, agent)
  await assertSameLeases(work)
  await browser.prepare(browserSeat, page)
  assertGood(await browser.press(browserSeat))
}

export async function endWork({ boxSeat, browserSeat }: Work): Promise<void> {
  await release(boxSeat)
  await release(browserSeat)
}
