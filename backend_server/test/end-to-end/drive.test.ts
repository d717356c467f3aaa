import { test } from 'node:test'
import { startPageServer } from './page-server.ts'
import { box, browser } from './screens.ts'
import { cannotRun, directions, startTopology, type Topology } from './start-topology.ts'
import { driveDevice } from './steps.ts'

const topologies: Topology[] = ['direct', 'nginx']

for (const topology of topologies) {
  test(`api-core.md 3 to 5, ${topology}: take, watch, press, verify, release, by two people on two devices of one host at once`, {
    skip: cannotRun(topology),
  }, async (t) => {
    const page = await startPageServer(t)
    const lab = await startTopology(t, topology)
    const { ann, bob } = lab.people
    for (const direction of directions) {
      await t.test(`host reached by its ${direction}`, async () => {
        const { hostName: host_name } = lab.agents[direction]
        // Each of them once at a box and once at a browser.
        const [first, second] = direction === 'url' ? [ann, bob] : [bob, ann]
        const seat = (person: typeof ann, device_id: string) => ({ person, target: { host_name, device_id } })
        await Promise.all([
          driveDevice(seat(first, 'device1'), box, { rival: second, page }),
          driveDevice(seat(second, 'host'), browser, { rival: first, page }),
        ])
      })
    }
  })
}
