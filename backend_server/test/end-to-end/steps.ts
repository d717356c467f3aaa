import assert from 'node:assert/strict'
import { until } from '../until.ts'
import type { PageServer } from './page-server.ts'
import type { Answer, Person } from './person.ts'
import type { Screen, Seat } from './screens.ts'
import { assertPlayable, assertPressIsSeen, watchLive } from './watch-live.ts'

export interface Lease {
  lease_id: string
  token: number
}

export const mediaOf = ({ target }: Seat, { capture }: Screen): string => `/server/hosts/${target.host_name}/stream/${capture}`

export async function take({ person, target }: Seat): Promise<Lease> {
  const { leases, warning } = await person.mustPost('control/takeControl', { ...target, purpose: 'end to end' })
  assert.equal(warning, null)
  const [lease] = leases as Lease[]
  assert.ok(lease && lease.token > 0)
  return lease
}

/** Somebody else is told who has it and since when, whatever he tries. */
export async function assertHeldAgainst(rival: Person, seat: Seat, screen: Screen): Promise<void> {
  const { person, target } = seat
  for (const answer of [
    await rival.post('control/takeControl', target),
    await screen.press({ person: rival, target }),
    await rival.post('av/takeScreenshot', target),
  ]) {
    assert.deepEqual(
      [answer.status, answer.body.code, answer.body.errorType, answer.body.locked_by],
      [423, 'device_locked', 'device_locked', person.name],
      answer.text,
    )
    const heldFor = Date.now() / 1000 - Number(answer.body.locked_at)
    assert.ok(heldFor > -5 && heldFor < 120, `since when: ${answer.text}`)
  }
}

/** Live picture and video both through the server, and the key is seen in the first. */
export async function watchAndPress(seat: Seat, screen: Screen): Promise<void> {
  const media = mediaOf(seat, screen)
  const viewer = await watchLive(seat.person, `${media}/live.mjpeg?fps=10`)
  try {
    await assertPressIsSeen(viewer, async () => assertGood(await screen.press(seat)))
  } finally {
    viewer.close()
  }
  const { stream_url, media: found } = await seat.person.mustPost('av/getStreamUrl', seat.target)
  assert.ok(String(stream_url).endsWith(`/host/stream/${screen.capture}/segments/output.m3u8`), String(stream_url))
  assert.equal((found as { stream_url: string }).stream_url, `${media}/segments/output.m3u8`)
  await assertPlayable(seat.person, `${media}/segments/output.m3u8`)
}

/** The word that the key brought, as an element, as letters and as a picture; and none of them once it is gone. */
export async function verify(seat: Seat, screen: Screen): Promise<void> {
  const { person, target } = seat
  const bounds = await until('the word is among the elements', () => screen.find(seat))
  const [x, y] = [Math.max(0, Math.round(bounds.left) - 10), Math.max(0, Math.round(bounds.top) - 10)]
  const area = { x, y, width: Math.round(bounds.right - x) + 10, height: Math.round(bounds.bottom - y) + 10 }
  const reference_name = `word-${target.host_name}-${target.device_id}`
  const { screenshot_url } = await person.mustPost('av/takeScreenshot', target)
  await person.mustPost('verification/image/saveImage', {
    ...target,
    image_source_url: screenshot_url,
    area,
    reference_name,
    userinterface_name: 'end-to-end',
  })
  const image = { command: 'waitForImageToAppear', verification_type: 'image', params: { image_path: reference_name, area } }
  const text = { command: 'waitForTextToAppear', verification_type: 'text', params: { text: screen.word, area, timeout: 10 } }
  const element = {
    command: 'waitForElementToAppear',
    verification_type: 'web',
    params: { search_term: screen.word, timeout: 0 },
  }
  const checks = [image, text, ...(screen.deviceId === 'host' ? [element] : [])]
  for (const check of checks) {
    const { outcome, result } = await person.check(target, check)
    assert.equal(outcome, 'passed', JSON.stringify(result))
    if (check === image) await assertEvidence(seat, result.results[0] ?? {})
  }
  await screen.undo(seat)
  assert.equal(await screen.find(seat), undefined)
  for (const check of checks) {
    const { outcome, result } = await person.check(target, { ...check, params: { ...check.params, timeout: 0 } })
    assert.equal(outcome, 'failed', JSON.stringify(result))
  }
}

/** The pictures of a verdict are found on the server, also those of a host that nobody else reaches. */
async function assertEvidence({ person, target }: Seat, result: { sourceImageUrl?: string; resultOverlayUrl?: string }) {
  for (const url of [result.sourceImageUrl, result.resultOverlayUrl]) {
    assert.match(String(url), /^\/host\/stream\//)
    const response = await person.open(String(url).replace('/host/', `/server/hosts/${target.host_name}/`))
    assert.deepEqual([response.status, response.headers.get('content-type')], [200, 'image/jpeg'], url)
    assert.ok((await response.arrayBuffer()).byteLength > 1000)
  }
}

export async function release({ person, target }: Seat): Promise<void> {
  await person.mustPost('control/releaseControl', target)
  assert.equal((await person.mustPost('control/checkLock', target)).is_locked, false)
}

/** All of it, by one person on one device. */
export async function driveDevice(
  seat: Seat,
  screen: Screen,
  { rival, page }: { rival: Person; page: PageServer },
): Promise<void> {
  await take(seat)
  await assertHeldAgainst(rival, seat, screen)
  await screen.prepare(seat, page)
  await watchAndPress(seat, screen)
  await verify(seat, screen)
  await release(seat)
}

export function assertGood(answer: Answer): void {
  assert.deepEqual([answer.status, answer.body.success], [200, true], answer.text)
}
