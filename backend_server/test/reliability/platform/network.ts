import { spawnSync } from 'node:child_process'
import type { TestContext } from 'node:test'

/*
 * A network between this machine and containers in namespaces of their own: one bridge with a private address that nobody
 * routes. Gone at the end of the test.
 */

export interface Network {
  /** This machine, as the containers see it. */
  address: string
  /** Joins the container with this first process; answers its address. */
  join: (pid: number) => string
}

let networks = 0
let joined = 0

export function openNetwork(t: Pick<TestContext, 'after'>): Network {
  networks += 1
  const part = process.pid % 250
  const bridge = `vptb${part}n${networks}`
  const address = `10.${218 + (networks % 2)}.${part}.1`
  // A test that was killed leaves its bridge.
  spawnSync('ip', ['link', 'del', bridge])
  run('ip', 'link', 'add', bridge, 'type', 'bridge')
  t.after(() => void spawnSync('ip', ['link', 'del', bridge]))
  run('ip', 'addr', 'add', `${address}/24`, 'dev', bridge)
  run('ip', 'link', 'set', bridge, 'up')
  let guests = 1
  return {
    address,
    join(pid) {
      joined += 1
      guests += 1
      const [outer, inner, own] = [`vpt${part}o${joined}`, `vpt${part}i${joined}`, address.replace(/1$/, String(guests))]
      const inside = (...command: string[]): void => run('nsenter', '-t', String(pid), '-n', ...command)
      // The pair goes when the namespace does, which is when the container has ended.
      t.after(() => void spawnSync('ip', ['link', 'del', outer]))
      run('ip', 'link', 'add', outer, 'type', 'veth', 'peer', 'name', inner, 'netns', String(pid))
      run('ip', 'link', 'set', outer, 'master', bridge, 'up')
      inside('ip', 'addr', 'add', `${own}/24`, 'dev', inner)
      inside('ip', 'link', 'set', inner, 'up')
      return own
    },
  }
}

function run(command: string, ...args: string[]): void {
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`)
}
