import { randomUUID } from 'node:crypto'
import { type ErrorCode, LabError, pictureType, type RunStep } from '@virtualpytest/shared'
import { type NewArtifact, type ObjectStore, storageKey } from '../artifacts/index.ts'
import { type CallTarget, callDevice, type DeviceAnswer, hostMediaPath } from '../device-calls/index.ts'
import { type HostClient, type HostStreams, hostAddress, readBytes } from '../hosts/index.ts'
import type { RunRow } from '../runs/index.ts'

export interface ExamineOptions {
  hosts: HostClient & Pick<HostStreams, 'stream'>
  store: ObjectStore
  apiKey: string | undefined
}

/** What a device announced that it can be controlled by; null, or nothing, for what it lacks. */
export type Capabilities = Partial<Record<'av' | 'remote' | 'power', unknown>>

export interface Finding {
  step: RunStep
  picture?: NewArtifact
}

interface Said {
  message: string
  picture?: NewArtifact
}

const answerMs = 10_000
const pictureMs = 20_000
const copyMs = 5_000
const largestPicture = 8 * 1024 * 1024
/** The device was not reached at all, so these say nothing of it. */
const ofTheHost: readonly ErrorCode[] = [
  'host_unreachable',
  'host_offline',
  'host_link_lost',
  'host_busy',
  'host_address_refused',
  'draining',
  'stale_token',
  'storage_unavailable',
]

/**
 * Asks the host, one question after another, what the device can do, and gives each answer on as soon as it is there. Nothing
 * is pressed or switched: a check leaves the device as it was. A host that does not answer is not asked any more.
 */
export async function* examineDevice(
  options: ExamineOptions,
  { run, target, capabilities }: { run: RunRow; target: CallTarget; capabilities: Capabilities },
): AsyncGenerator<Finding> {
  const call = (method: 'GET' | 'POST', path: string, timeoutMs: number): Promise<DeviceAnswer> =>
    callDevice(options, target, { method, path, timeoutMs })
  const has = (name: keyof Capabilities): boolean => capabilities[name] != null
  const questions: [string, (() => Promise<Said>) | undefined][] = [
    ['the host answers', () => call('GET', '/host/system/health', answerMs).then(() => ({ message: 'it does' }))],
    ['the device gives a picture', has('av') || has('remote') ? takePicture : undefined],
    ['its power can be read', has('power') ? readPower : undefined],
  ]

  async function takePicture(): Promise<Said> {
    const { body } = await call('POST', has('av') ? '/host/av/takeScreenshot' : '/host/remote/takeScreenshot', pictureMs)
    if (body.success === false) throw new Error(String(body.error))
    const content =
      typeof body.screenshot === 'string'
        ? Buffer.from(body.screenshot, 'base64')
        : await fetchPicture(options, target, body.screenshot_url)
    // A host whose capture has stopped may hand on an empty or a broken file.
    const contentType = pictureType(content)
    if (!contentType) throw new Error('what the host gave is no picture')
    const id = randomUUID()
    const stored = await options.store.put(storageKey(run.id, id), content, { maxBytes: largestPicture })
    const name = `${target.device.key}.${contentType.slice('image/'.length)}`
    const picture = {
      id,
      teamId: run.team_id,
      runId: run.id,
      kind: 'screenshot' as const,
      name,
      contentType,
      ...stored,
    }
    return { message: `it does, ${content.length} bytes`, picture }
  }

  async function readPower(): Promise<Said> {
    const { body } = await call('POST', '/host/power/getStatus', answerMs)
    if (body.success === false) throw new Error(String(body.error))
    return { message: typeof body.status === 'string' ? `it is ${body.status}`.slice(0, 100) : 'it can' }
  }

  for (const [index, [name, ask]] of questions.entries()) {
    const asked = { position: index + 1, kind: 'verification' as const, name, started_at: new Date().toISOString() }
    const startedAt = performance.now()
    const finding: Finding = ask
      ? await ask().then(
          ({ message, picture }) => ({
            step: { ...asked, outcome: 'passed' as const, message, ...(picture && { screenshot_artifact_id: picture.id }) },
            ...(picture && { picture }),
          }),
          (error: unknown) => ({ step: { ...asked, outcome: outcomeOf(error, index), message: reasonOf(error) } }),
        )
      : { step: { ...asked, outcome: 'skipped', message: 'the device has nothing for it' } }
    finding.step.duration_ms = Math.round(performance.now() - startedAt)
    yield finding
    if (finding.step.outcome === 'error') return
  }
}

/** Whatever goes wrong with the first question is the host's; later ones concern the device, unless the host went away. */
const outcomeOf = (error: unknown, index: number): 'failed' | 'error' =>
  index === 0 || (error instanceof LabError && ofTheHost.includes(error.code)) ? 'error' : 'failed'

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error)).slice(0, 500)

async function fetchPicture({ hosts, apiKey }: ExamineOptions, target: CallTarget, url: unknown): Promise<Buffer> {
  const path = typeof url === 'string' ? hostMediaPath(url, target.host) : undefined
  if (path === undefined) throw new Error('the host named no picture of its own')
  const signal = AbortSignal.timeout(copyMs)
  const { status, body } = await hosts.stream(hostAddress(target.host, apiKey), {
    method: 'GET',
    path,
    timeoutMs: copyMs,
    signal,
  })
  if (status === 200) return readBytes(body, largestPicture, signal)
  body.destroy()
  throw new Error(`the host answered ${status} for the picture it had named`)
}
