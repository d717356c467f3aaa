import type { CommandSpec } from '../driver.ts'
import { defineCommand } from '../driver.ts'
import type { AndroidDevice } from './android-device.ts'
import { done, refused, remote, runOrExplain } from './answers.ts'
import { parseAppName, quoted } from './shell-text.ts'

const appName = {
  type: 'string',
  required: true,
  default: '',
  description: 'Package of the app',
  placeholder: 'com.example.app',
} as const
const launchMs = 20_000
/** How long a started app may take to come to the front before the answer says that it is not there yet. */
const frontMs = 4_000
const lookMs = 250

const badName = (text: string) => refused(`${JSON.stringify(text.slice(0, 100))} is no package name such as com.example.app`)

async function isInstalled(device: AndroidDevice, name: string, signal: AbortSignal): Promise<boolean> {
  const { text } = await runOrExplain(device, `pm list packages ${quoted(name)}`, signal)
  return text.split('\n').some((line) => line.trim() === `package:${name}`)
}

/** The package whose window has the focus; null while there is none. */
async function inFront(device: AndroidDevice, signal: AbortSignal): Promise<string | null> {
  const { stdout } = await device.run("dumpsys window | grep -E 'mCurrentFocus|mFocusedApp'", signal)
  const lines = stdout.toString('utf8')
  return /mCurrentFocus=Window\{[^}]*\s([\w.]+)\/[^}]*\}/.exec(lines)?.[1] ?? null
}

const launchApp = defineCommand({
  name: 'launch_app',
  label: 'Open app',
  description: 'Opens an app, or one of its activities as package/activity',
  offer: remote,
  params: { package: appName },
  input: 'package',
  run: async (device: AndroidDevice, values, signal) => {
    const app = parseAppName(values.package)
    if (!app) return badName(values.package)
    // Monkey finds the activity that a launcher would start, on phones, TVs and on every version of Android.
    const starts = app.activity === null
    const line = starts
      ? `monkey -p ${quoted(app.package)} -c android.intent.category.LAUNCHER -c android.intent.category.LEANBACK_LAUNCHER --pct-syskeys 0 1`
      : `am start -n ${quoted(`${app.package}/${app.activity}`)}`
    const { problem } = await runOrExplain(device, line, signal, { timeoutMs: launchMs })
    if (problem) {
      const isThere = await isInstalled(device, app.package, signal)
      return refused(isThere ? `${app.package} could not be opened: ${problem}` : `${app.package} is not installed`)
    }
    const end = device.clock.now() + frontMs
    for (;;) {
      const front = await inFront(device, signal)
      if (front === app.package) return done(`${app.package} is open`, { package: app.package, in_front: true })
      if (device.clock.now() >= end) {
        const instead = front === null ? 'nothing' : front
        return done(`${app.package} was started; in front is ${instead}`, { package: app.package, in_front: false })
      }
      await device.clock.sleep(lookMs, signal)
    }
  },
})

const closeApp = defineCommand({
  name: 'close_app',
  label: 'Close app',
  description: 'Ends an app with all that it runs',
  offer: remote,
  params: { package: appName },
  input: 'package',
  run: async (device: AndroidDevice, values, signal) => {
    const app = parseAppName(values.package)
    if (!app) return badName(values.package)
    // Android ends what does not exist without a word.
    if (!(await isInstalled(device, app.package, signal))) return refused(`${app.package} is not installed`)
    const { problem } = await runOrExplain(device, `am force-stop ${quoted(app.package)}`, signal)
    return problem ? refused(`${app.package} could not be closed: ${problem}`) : done(`${app.package} is closed`)
  },
})

const listApps = defineCommand({
  name: 'get_installed_apps',
  label: 'List apps',
  description: 'The packages that are installed',
  offer: remote,
  params: {},
  run: async (device: AndroidDevice, _values, signal) => {
    const { text, problem } = await runOrExplain(device, 'pm list packages', signal)
    const names = text.split('\n').flatMap((line) => /^package:(\S+)/.exec(line.trim())?.[1] ?? [])
    if (names.length === 0) return refused(`The device did not list its apps: ${problem ?? 'it named none'}`)
    // Labels are in the files of the apps; the shell does not tell them.
    const apps = names.sort().map((name) => ({ packageName: name, label: name }))
    return done(`${apps.length} apps`, { apps })
  },
})

export const appCommands: readonly CommandSpec<AndroidDevice>[] = [launchApp, closeApp, listApps]
