import { existsSync, readdirSync, rmSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BrowserContext, chromium } from 'playwright-core'

const usualPlaces = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/usr/bin/google-chrome-stable',
  '/snap/bin/chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
]

/** Path of an installed Chromium, or null. Nothing is ever downloaded. */
export function findChromium(): string | null {
  return usualPlaces.find((path) => existsSync(path)) ?? null
}

export const viewport = { width: 1280, height: 720 }

const profilePrefix = 'vpt-chromium-'
const launchTimeoutMs = 30_000

/** A browser that talks to nobody on its own: what a test measures must not depend on updates and sync. */
function flags(): string[] {
  const quiet = [
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--no-first-run',
    '--no-default-browser-check',
    '--disable-gpu',
    '--disable-quic',
    '--disable-features=Translate,OptimizationHints,MediaRouter',
    '--mute-audio',
    // The shared memory of a container is often 64 MB, with which larger pages crash.
    '--disable-dev-shm-usage',
  ]
  // Chromium refuses its sandbox for root; a lab machine should run the agent as a user.
  return process.getuid?.() === 0 ? [...quiet, '--no-sandbox'] : quiet
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

/** An agent that was killed leaves its profile folder; the name tells whose it was. */
function removeAbandonedProfiles(): void {
  for (const name of readdirSync(tmpdir())) {
    const pid = name.startsWith(profilePrefix) ? Number(name.slice(profilePrefix.length).split('-')[0]) : 0
    if (pid > 0 && !isAlive(pid)) rmSync(join(tmpdir(), name), { recursive: true, force: true })
  }
}

export type Browser = { context: BrowserContext; close(): Promise<void> }

/** Starts a browser with a new empty profile; the profile is gone when the browser is. */
export async function startChromium(executablePath: string): Promise<Browser> {
  removeAbandonedProfiles()
  const profile = await mkdtemp(join(tmpdir(), `${profilePrefix}${process.pid}-`))
  const removeProfile = () => rm(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
  try {
    const context = await chromium.launchPersistentContext(profile, {
      executablePath,
      headless: true,
      args: flags(),
      viewport,
      acceptDownloads: false,
      timeout: launchTimeoutMs,
      // The agent decides when the browser ends; Playwright would end the process on a signal.
      handleSIGINT: false,
      handleSIGTERM: false,
      handleSIGHUP: false,
    })
    return {
      context,
      async close() {
        // Also of a browser that has crashed: then only the folder is left to remove.
        await context.close().catch(() => undefined)
        await removeProfile()
      },
    }
  } catch (cause) {
    await removeProfile()
    throw new Error(`Chromium did not start: ${firstLine(cause)}`, { cause })
  }
}

/** Playwright puts a call log after the first line; the first line says what is wrong. */
export function firstLine(cause: unknown): string {
  const text = cause instanceof Error ? cause.message : String(cause)
  return (text.split('\n')[0] ?? text).replace(/\p{Cc}\[[\d;]*m/gu, '').slice(0, 500)
}
