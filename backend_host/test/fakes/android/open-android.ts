import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { TestContext } from 'node:test'
import { type AndroidOptions, type FakeAndroid, startAndroid } from './adb-daemon.ts'

/** Tests that ask nothing of the simulated screen run on a real device, too: ANDROID_DEVICE=192.168.1.50:5555. */
export function realDevice(): { host: string; port: number } | null {
  const [host, port = '5555'] = (process.env.ANDROID_DEVICE ?? '').split(':')
  return host ? { host, port: Number(port) } : null
}

export async function openAndroid(t: TestContext, options: AndroidOptions = {}): Promise<FakeAndroid> {
  const android = await startAndroid(options)
  t.after(() => android.stop())
  return android
}

/** A folder for the key of the agent. A real device should know the key already, so that one has a lasting place. */
export async function keyFolder(t: TestContext): Promise<string> {
  if (realDevice() && process.env.ANDROID_KEY_FOLDER) return process.env.ANDROID_KEY_FOLDER
  const folder = await mkdtemp(path.join(tmpdir(), 'vpt-adb-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}
