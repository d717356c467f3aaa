/** What the simulated device shows: a launcher and three apps, made of elements that keys and taps change. */
export interface Node {
  id: string
  text: string
  desc?: string
  kind: 'TextView' | 'Button' | 'EditText'
  bounds: { left: number; top: number; right: number; bottom: number }
  canFocus: boolean
  /** The app that this opens, or the effect that it has. */
  does?: string
}

export interface ScreenState {
  width: number
  height: number
  /** The packages of opened apps, the one in front last; the launcher when empty. */
  opened: string[]
  focus: number
  typed: string
  scroll: number
  isPlaying: boolean
  isAwake: boolean
}

export const launcher = 'com.sim.launcher'
export const apps = [
  { package: 'demo.player', label: 'Player' },
  { package: 'demo.notes', label: 'Notes' },
  { package: 'demo.list', label: 'List' },
] as const
/** Installed, but with nothing that a launcher could open. */
export const hiddenPackages = ['com.android.systemui', launcher, 'demo.service']

export const frontOf = (state: ScreenState): string => state.opened.at(-1) ?? launcher

const rows = 5

export function nodesOf(state: ScreenState): Node[] {
  const front = frontOf(state)
  const { width, height } = state
  const row = Math.round(height / (rows + 1))
  const place = (line: number): Node['bounds'] => ({
    left: Math.round(width * 0.06),
    top: Math.round(row * (line + 0.15)),
    right: Math.round(width * 0.94),
    bottom: Math.round(row * (line + 0.9)),
  })
  const title = (text: string): Node => ({ id: 'title', text, kind: 'TextView', bounds: place(0), canFocus: false })
  const button = (line: number, id: string, text: string, does: string, desc?: string): Node => ({
    id,
    text,
    kind: 'Button',
    bounds: place(line),
    canFocus: true,
    does,
    ...(desc !== undefined && { desc }),
  })
  if (front === 'demo.player') {
    const isPlaying = state.isPlaying
    return [
      title('Player'),
      button(1, 'play', isPlaying ? 'Pause' : 'Play', 'play', 'Play or pause'),
      { id: 'state', text: isPlaying ? 'Playing "Ocean & Sky"' : 'Stopped', kind: 'TextView', bounds: place(2), canFocus: false },
    ]
  }
  if (front === 'demo.notes') {
    const field: Node = { id: 'field', text: state.typed, kind: 'EditText', bounds: place(1), canFocus: true }
    return [title('Notes'), field, button(2, 'clear', 'Clear', 'clear')]
  }
  if (front === 'demo.list') {
    const items = Array.from({ length: 4 }, (_, line) => state.scroll + line + 1)
    return [title('List'), ...items.map((item, line) => button(line + 1, `item_${item}`, `Item ${item}`, ''))]
  }
  return [
    title('Home'),
    button(1, 'watch', 'Watch now', 'demo.player'),
    ...apps.map((app, line) => button(line + 2, `app_${app.label.toLowerCase()}`, app.label, app.package)),
  ]
}

export function focusedNode(state: ScreenState): Node | null {
  const able = nodesOf(state).filter((node) => node.canFocus)
  return able.length === 0 ? null : (able[Math.min(state.focus, able.length - 1)] ?? null)
}

const open = (state: ScreenState, name: string): void => {
  state.opened = [...state.opened.filter((one) => one !== name), name]
  state.focus = 0
}

export function openApp(state: ScreenState, name: string): void {
  open(state, name)
}

export function closeApp(state: ScreenState, name: string): void {
  state.opened = state.opened.filter((one) => one !== name)
  if (name === 'demo.player') state.isPlaying = false
}

function activate(state: ScreenState, node: Node | null): void {
  if (node?.does === 'play') state.isPlaying = !state.isPlaying
  else if (node?.does === 'clear') state.typed = ''
  else if (node?.does) open(state, node.does)
}

export function press(state: ScreenState, code: number): void {
  const able = nodesOf(state).filter((node) => node.canFocus).length
  if (code === 26) state.isAwake = !state.isAwake
  else if (code === 224) state.isAwake = true
  else if (code === 223) state.isAwake = false
  else if (code === 3) Object.assign(state, { opened: [], focus: 0 })
  else if (code === 4) Object.assign(state, { opened: state.opened.slice(0, -1), focus: 0 })
  else if (code === 19 || code === 21) state.focus = Math.max(0, state.focus - 1)
  else if (code === 20 || code === 22) state.focus = Math.min(Math.max(0, able - 1), state.focus + 1)
  else if (code === 23) activate(state, focusedNode(state))
  else if (code === 67) state.typed = state.typed.slice(0, -1)
  else if (code === 66 && frontOf(state) === 'demo.notes') state.typed += '\n'
  else if (code === 66) activate(state, focusedNode(state))
  else if (code === 61 && frontOf(state) === 'demo.notes') state.typed += '\t'
}

export function tapAt(state: ScreenState, x: number, y: number): void {
  const able = nodesOf(state).filter((node) => node.canFocus)
  const hit = able.findIndex(({ bounds: b }) => x >= b.left && x < b.right && y >= b.top && y < b.bottom)
  if (hit === -1) return
  state.focus = hit
  activate(state, able[hit] ?? null)
}

export function swipeBy(state: ScreenState, dy: number): void {
  const row = state.height / (rows + 1)
  if (frontOf(state) === 'demo.list') state.scroll = Math.max(0, Math.min(16, state.scroll - Math.round(dy / row)))
}

export function type(state: ScreenState, text: string): void {
  if (frontOf(state) === 'demo.notes') state.typed += text
}
