import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { TestContext } from 'node:test'
import type { Clock, CommandResult, Driver } from '../../src/drivers/index.ts'
import { createMediaStore, type MediaStore } from '../../src/features/media/index.ts'
import { type CheckContext, type Checks, createChecks, createReferences } from '../../src/features/verification/index.ts'
import { type Ocr, openOcr } from '../../src/vision/ocr.ts'

const { signal } = new AbortController()
let ocr: Promise<Ocr | null> | undefined

export interface OpenEyes {
  checks: Checks
  media: MediaStore
  ocr: Ocr | null
  check(command: string, params?: Record<string, unknown>, context?: CheckContext): Promise<CommandResult>
}

/** The checks of an agent on one device, with a folder of their own that is gone after the test. */
export async function openEyes(t: TestContext, driver: Driver, clock: Clock): Promise<OpenEyes> {
  const folder = await mkdtemp(path.join(tmpdir(), 'vpt-checks-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  ocr ??= openOcr()
  const media = createMediaStore(folder, ['capture1'])
  const references = createReferences(folder, media)
  const checks = createChecks({ clock, ocr: await ocr, media, references })
  const device = {
    capture: 'capture1',
    driver,
    screenshot: (given: AbortSignal) => driver.screenshot(given),
    lastCommandAt: () => 0,
    press: (key: string, given: AbortSignal) => driver.execute('press_key', { key }, given),
    sound: driver.sound ? async (given: AbortSignal) => (await driver.sound?.(given)) ?? 0 : null,
  }
  return {
    checks,
    media,
    ocr: await ocr,
    check: (command, params = {}, context = {}) => checks.execute(device, { command, params, context }, signal),
  }
}
