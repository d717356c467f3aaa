import { setTimeout as pause } from 'node:timers/promises'
import { drawScreen, dumpScreen } from './draw.ts'
import { apps, closeApp, frontOf, hiddenPackages, openApp, press, type ScreenState, swipeBy, tapAt, type } from './screen.ts'
import { createShell, type Program, says } from './shell.ts'
import type { ShellOutput } from './streams.ts'

export interface PhoneOptions {
  width?: number
  height?: number
}

export interface AndroidPhone {
  state: ScreenState
  /** Files of the device, by path. */
  files: Map<string, string>
  /** Next listings fail with this, as they do while a video plays. */
  listingFailures: number
  /** How long a screenshot takes. */
  pictureMs: number
  pictures: number
  /** The input method that is in use. */
  keyboard: string
  run: (line: string) => Promise<ShellOutput>
}

const usage = (name: string): ShellOutput => says('', 255, `Error: Invalid arguments for command: ${name}\n`)
const isNumber = (text: string | undefined): boolean => /^-?\d+$/.test(text ?? '')

/** The device behind the port: its screen and the programs that act on it. */
export function createPhone({ width = 1280, height = 720 }: PhoneOptions = {}): AndroidPhone {
  const state: ScreenState = {
    width,
    height,
    opened: [],
    focus: 0,
    typed: '',
    scroll: 0,
    isPlaying: false,
    isAwake: true,
  }
  const files = new Map<string, string>()

  /** `%s` is a space, as in Android; characters that no key makes end in the exception of Android. */
  function inputText(text: string): ShellOutput {
    if (!/^[\x20-\x7e]*$/.test(text)) {
      return says(
        '',
        255,
        "Exception occurred while executing 'text':\njava.lang.NullPointerException: Attempt to get length of null array\n",
      )
    }
    type(state, text.replaceAll('%s', ' '))
    return says('')
  }

  const input: Program = ([command, ...args]) => {
    const [x1, y1, x2, y2] = args.map(Number)
    if (command === 'keyevent' && args.length > 0 && args.every(isNumber)) {
      for (const code of args) press(state, Number(code))
      return says('')
    }
    if (command === 'tap' && args.length === 2 && args.every(isNumber)) {
      tapAt(state, x1 ?? 0, y1 ?? 0)
      return says('')
    }
    if (command === 'swipe' && args.length >= 4 && args.every(isNumber)) {
      if (Math.abs((y2 ?? 0) - (y1 ?? 0)) > Math.abs((x2 ?? 0) - (x1 ?? 0))) swipeBy(state, (y2 ?? 0) - (y1 ?? 0))
      return says('')
    }
    if (command === 'text' && args.length === 1) return inputText(args[0] ?? '')
    return usage('input')
  }

  const am: Program = ([command, ...args]) => {
    if (command === 'broadcast' && args.slice(0, 4).join(' ') === '-a ADB_INPUT_B64 --es msg') {
      if (phone.keyboard.startsWith('com.android.adbkeyboard/'))
        type(state, Buffer.from(args[4] ?? '', 'base64').toString('utf8'))
      return says('Broadcasting: Intent { act=ADB_INPUT_B64 }\nBroadcast completed: result=0\n')
    }
    if (command === 'force-stop' && args.length === 1) {
      closeApp(state, args[0] ?? '')
      return says('')
    }
    if (command !== 'start' || args[0] !== '-n') return usage('am')
    const [name = '', activity] = (args[1] ?? '').split('/')
    const starting = `Starting: Intent { cmp=${args[1]} }\n`
    // Android says this on its output and ends with 0.
    if (!apps.some((app) => app.package === name) || activity !== '.Main')
      return says(`${starting}Error type 3\nError: Activity class {${args[1]}} does not exist.\n`)
    openApp(state, name)
    return says(starting)
  }

  const monkey: Program = (args) => {
    const name = args[args.indexOf('-p') + 1] ?? ''
    if (!apps.some((app) => app.package === name)) return says('** No activities found to run, monkey aborted.\n', 252)
    openApp(state, name)
    return says('Events injected: 1\n')
  }

  const screencap: Program = async (args) => {
    if (args[0] !== '-p') return usage('screencap')
    phone.pictures += 1
    await pause(phone.pictureMs)
    return says(await drawScreen(state))
  }

  const uiautomator: Program = ([command, file = '/sdcard/window_dump.xml']) => {
    if (command !== 'dump') return usage('uiautomator')
    if (phone.listingFailures > 0) {
      phone.listingFailures -= 1
      return says('', 0, 'ERROR: could not get idle state.\n')
    }
    files.set(file, dumpScreen(state))
    return says(`UI hierchary dumped to: ${file}\n`)
  }

  const cat: Program = ([file = '']) => {
    const content = files.get(file)
    return content === undefined ? says('', 1, `cat: ${file}: No such file or directory\n`) : says(content)
  }

  const grep: Program = (args, stdin) => {
    const pattern = args.find((arg) => !arg.startsWith('-')) ?? ''
    const lines = stdin
      .toString('utf8')
      .split('\n')
      .flatMap((line) => {
        const found = new RegExp(pattern).exec(line)
        return found ? [args.includes('-o') ? found[0] : line] : []
      })
    const kept = args.includes('-m1') ? lines.slice(0, 1) : lines
    return says(kept.map((line) => `${line}\n`).join(''), kept.length > 0 ? 0 : 1)
  }

  const packages = [...apps.map((app) => app.package), ...hiddenPackages]
  const focus = (): string => `  mCurrentFocus=Window{4c1d2 u0 ${frontOf(state)}/${frontOf(state)}.Main}\n`
  const programs = new Map<string, Program>([
    ['input', input],
    ['am', am],
    ['monkey', monkey],
    ['screencap', screencap],
    ['uiautomator', uiautomator],
    ['cat', cat],
    ['grep', grep],
    [
      'pm',
      ([, , filter = '']) => says(packages.flatMap((name) => (name.includes(filter) ? [`package:${name}\n`] : [])).join('')),
    ],
    [
      'dumpsys',
      ([, part]) =>
        says(
          part === 'displays' ? `    init=${width}x${height} 320dpi cur=${width}x${height} app=${width}x${height}\n` : focus(),
        ),
    ],
    ['wm', () => says(`Physical size: ${width}x${height}\n`)],
    ['settings', (args) => says(args.join(' ') === 'get secure default_input_method' ? `${phone.keyboard}\n` : 'null\n')],
    ['getprop', () => says('Simulated\n')],
    ['echo', (args) => says(`${args.join(' ')}\n`)],
    ['touch', (names) => says(names.map((name) => files.set(name, '')).length > 0 ? '' : '')],
    ['rm', (args) => says(args.map((name) => files.delete(name)).length > 0 ? '' : '')],
  ])
  const shell = createShell(programs)
  const phone: AndroidPhone = {
    state,
    files,
    listingFailures: 0,
    pictureMs: 20,
    pictures: 0,
    keyboard: 'com.android.inputmethod.latin/.LatinIME',
    run: (line) => shell(line),
  }
  return phone
}
