import { test } from 'node:test'
import { beginWork, endWork, killAgent, killChromium, killFfmpeg, killServer, type Work } from './kills.ts'
import { startPageServer } from './page-server.ts'
import { cannotRun, directions, startTopology, type Topology } from './start-topology.ts'

/** The same kills in each topology and direction, in one lab; two people are at work all the time. */
export function testKills(topology: Topology): void {
  test(`T1, ${topology}: kill -9 of server, agent, ffmpeg and Chromium while two people are at work`, {
    skip: cannotRun(topology),
  }, async (t) => {
    const page = await startPageServer(t)
    const lab = await startTopology(t, topology)
    const works: Work[] = []
    for (const direction of directions) works.push(await beginWork(lab, direction, page))
    for (const work of works) {
      const where = `host reached by its ${work.direction}`
      await t.test(`ffmpeg: the video heals, ${where}`, () => killFfmpeg(work))
      await t.test(`Chromium: the call says so, and the next taking starts a new one, ${where}`, () => killChromium(work))
    }
    await t.test('server: calls in the middle fail; the same people have the same leases, and go on', () => killServer(works))
    for (const work of works)
      await t.test(
        `agent: calls fail by name, then the device is back in the same hands, host reached by its ${work.direction}`,
        () => killAgent(work),
      )
    for (const work of works) await endWork(work)
  })
}
