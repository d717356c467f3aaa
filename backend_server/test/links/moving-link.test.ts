// Two servers on one database, and an agent whose link moves between them while calls go on at both.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startLab, until } from '../start-lab.ts'
import { dialLink, type Handler, natHost, registerNatHost } from './dial-link.ts'

const moves = 20
const callers = 6

test('calls go on while the link moves between servers; whatever fails says so with a code, and is never a failure of the server', async (t) => {
  const one = await startLab(t, { hosts: 0 })
  const two = await startLab(t, { hosts: 0, databaseUrl: one.databaseUrl })
  await registerNatHost(one)
  const large = 'x'.repeat(50_000)
  const handle: Handler = (request, response) => {
    if (request.url.includes('/stream/')) response.end(large)
    else response.end('{"success":true}')
  }
  const counts = new Map<string, number>()
  let isOver = false
  const target = { host_name: natHost.hostName, device_id: 'device1' }
  const media = `/server/hosts/${natHost.hostName}/stream/capture1/captures/verification_source.jpg`

  async function callOn(lab: typeof one, isMedia: boolean): Promise<void> {
    while (!isOver) {
      const answer = isMedia ? await lab.get(media).catch(() => undefined) : await lab.post('/server/power/getStatus', target)
      // Media that break off in the middle are cut off, which is no answer with a status.
      const isWhole = answer && (isMedia ? answer.text === large : answer.body.success === true)
      const outcome = !answer ? 'cut off' : isWhole ? `${answer.status}` : `${answer.status} ${String(answer.body.code)}`
      counts.set(outcome, (counts.get(outcome) ?? 0) + 1)
    }
  }
  let link = await dialLink(t, one, { handle })
  const calling = Array.from({ length: callers }, (_, index) => callOn(index % 2 === 0 ? one : two, index % 3 === 0))
  try {
    for (let move = 0; move < moves; move += 1) {
      const before = counts.get('200') ?? 0
      await until('calls are answered over this link', () => (counts.get('200') ?? 0) >= before + callers)
      // In turns: the next link comes first, and the present one is cut first.
      const previous = link
      if (move % 2 === 0) previous.socket.terminate()
      link = await dialLink(t, move % 2 === 0 ? two : one, { handle })
      assert.equal(link.refusal, undefined, JSON.stringify(link.refusal))
      if (move % 2 === 1) previous.socket.close(1001)
    }
  } finally {
    isOver = true
    await Promise.allSettled(calling)
    t.diagnostic(JSON.stringify(Object.fromEntries(counts)))
  }
  const allowed = new Set(['200', 'cut off', '503 host_link_lost', '503 host_unreachable'])
  assert.deepEqual(
    [...counts.keys()].filter((outcome) => !allowed.has(outcome)),
    [],
    JSON.stringify([...counts]),
  )
})
