import { loadavg } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'
import { findChromium } from '../../../backend_host/src/drivers/index.ts'
import { type AgentProgram, startAgent } from './agent-program.ts'
import { ageOf, boxCode, clockPage, darkShare, pageCode, type TimeCode } from './time-code.ts'
import { openViewer } from './viewer.ts'

type Promised = (what: string, value: number, limit: number, unit: string) => void

const session = { session_id: 'bench', user_id: 'bench' }
/** What a viewer gets that asks for nothing else. */
const fps = 12
const limits = { glassToGlassMs: 300, watchedPercent: 100, unwatchedPercent: 2 } as const
const times = { clockSeconds: 15, changes: 20, stillSeconds: 15, idleSeconds: 60 } as const
const idleBoxes = 10

/** The live view, always through the server: its delay from what a device shows to the decoded picture, and what it costs the host. */
export async function measureLiveView(serverUrl: string, promise: Promised): Promise<void> {
  for (const way of ['url', 'link'] as const) {
    console.log(`       live view by ${way}, load ${loadavg()[0]?.toFixed(1)}`)
    const browser = findChromium() !== null
    const agent = await startAgent(serverUrl, { hostName: `bench-live-${way}`, way, boxes: 1, browser })
    const lab = createLab(serverUrl, agent, promise)
    try {
      await measureBox(lab, way)
      if (browser) await measurePage(lab, way)
      else console.log('       no Chromium on this machine: pages are not measured')
    } finally {
      await agent.stop()
    }
  }
  await measureIdle(serverUrl, promise)
}

type Lab = ReturnType<typeof createLab>

function createLab(serverUrl: string, agent: AgentProgram, promise: Promised) {
  async function call(path: string, body: Record<string, unknown>): Promise<void> {
    const response = await fetch(`${serverUrl}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ host_name: agent.hostName, ...session, ...body }),
    })
    const answer = (await response.json()) as { success?: boolean }
    if (answer.success !== true) throw new Error(`${path} answered ${response.status} ${JSON.stringify(answer).slice(0, 300)}`)
  }
  return {
    agent,
    promise,
    liveUrl: (capture: string) => `${serverUrl}/server/hosts/${agent.hostName}/stream/${capture}/live.mjpeg?fps=${fps}`,
    take: (device_id: string) => call('/server/control/takeControl', { device_id }),
    remote: (command: string, params: Record<string, unknown>) =>
      call('/server/remote/executeCommand', { device_id: 'device1', command, params }),
    go: (url: string) => call('/server/web/navigateToUrl', { device_id: 'host', url }),
  }
}

async function measureBox(lab: Lab, way: string): Promise<void> {
  await lab.take('device1')
  let dark = 0
  let darkSince = 0
  const viewer = await openViewer(lab.liveUrl('capture1'), async (jpeg) => {
    const isDark = (await darkShare(jpeg)) > 98 ? 1 : 0
    if (isDark !== dark) darkSince = Date.now()
    dark = isDark
  })
  await pause(2000)
  await measureCost(lab, `a watched box that stands still, by ${way}`, times.stillSeconds)
  const delays: number[] = []
  for (let turn = 1; turn <= times.changes; turn += 1) {
    const startedAt = Date.now()
    await lab.remote('sim_show', { fault: turn % 2 === 1 ? 'black' : 'none' })
    while (dark !== turn % 2 && Date.now() - startedAt < 5000) await pause(1)
    delays.push(dark === turn % 2 ? darkSince - startedAt : 5000)
    // At any moment between two pictures, not always the same.
    await pause(150 + Math.random() * 200)
  }
  viewer.close()
  reportDelays(lab, `box, from the call that changes it, by ${way}`, delays)

  // Live TV, then channel 24 with the test card, and the banner gone again.
  for (const key of ['OK', '2', '4', 'OK']) {
    await lab.remote('press_key', { key })
    await pause(key === '2' ? 0 : 800)
  }
  await pause(5000)
  await measureClock(lab, `box that moves, by ${way}`, 'capture1', boxCode)
}

async function measurePage(lab: Lab, way: string): Promise<void> {
  await lab.take('host')
  await lab.go(clockPage)
  await measureClock(lab, `page that moves, by ${way}`, 'capture0', pageCode)
  await lab.go('data:text/html,<h1>Still</h1>')
  await pause(5000)
  const cost = await measureCost(lab, `an open browser that nobody watches, by ${way}`, times.stillSeconds)
  lab.promise(`processor for an open browser that nobody watches, by ${way}`, cost, limits.unwatchedPercent, '%')
}

async function measureClock(lab: Lab, what: string, capture: string, code: TimeCode): Promise<void> {
  const ages: number[] = []
  const viewer = await openViewer(lab.liveUrl(capture), async (jpeg) => void ages.push(await ageOf(jpeg, code)))
  await pause(2000)
  ages.length = 0
  const frames = viewer.frames()
  const cost = await measureCost(lab, what, times.clockSeconds)
  console.log(`       ${what}: ${((viewer.frames() - frames) / times.clockSeconds).toFixed(1)} pictures a second`)
  viewer.close()
  reportDelays(lab, what, ages)
  lab.promise(`processor while it is watched, ${what}`, cost, limits.watchedPercent, '%')
}

/** Agent and browser together, in percent of one processor. */
async function measureCost({ agent }: { agent: AgentProgram }, what: string, seconds: number): Promise<number> {
  const before = agent.cpuSeconds()
  await pause(seconds * 1000)
  const percent = ((agent.cpuSeconds() - before) / seconds) * 100
  console.log(`       ${what}: ${percent.toFixed(2)} % of a processor over ${seconds} s`)
  return percent
}

/** What devices cost that nobody watches: the whole agent with its link and its beats. */
async function measureIdle(serverUrl: string, promise: Promised): Promise<void> {
  const agent = await startAgent(serverUrl, { hostName: 'bench-idle', way: 'link', boxes: idleBoxes, browser: false })
  try {
    // What a start leaves to do is not what it costs to stand there.
    await pause(15_000)
    const percent = await measureCost({ agent }, `an agent with ${idleBoxes} devices that nobody watches`, times.idleSeconds)
    promise('processor for a device that nobody watches', percent / idleBoxes, limits.unwatchedPercent, '%')
  } finally {
    await agent.stop()
  }
}

function reportDelays({ promise }: Lab, what: string, delays: number[]): void {
  delays.sort((a, b) => a - b)
  const at = (part: number): number => delays[Math.min(delays.length - 1, Math.floor(delays.length * part))] ?? Number.NaN
  console.log(`       ${what}: least ${at(0)}, p90 ${at(0.9)}, longest ${at(1)} ms, ${delays.length} times`)
  promise(`${what}, glass to glass, p50`, at(0.5), limits.glassToGlassMs, 'ms')
}
