import assert from 'node:assert/strict'
import type { PageServer } from './page-server.ts'
import type { Person, Target } from './person.ts'

interface Bounds {
  left: number
  top: number
  right: number
  bottom: number
}
export interface Seat {
  person: Person
  target: Target
}

/** What differs between the two kinds of device; the steps are the same. */
export interface Screen {
  deviceId: string
  capture: string
  /** Shows the state before the key. */
  prepare: (seat: Seat, page: PageServer) => Promise<void>
  press: (seat: Seat, more?: object) => ReturnType<Person['post']>
  /** Back to the state before the key. */
  undo: (seat: Seat) => Promise<unknown>
  /** Text that the key brings onto the screen. */
  word: string
  /** Where this text is among the elements, or undefined. */
  find: (seat: Seat) => Promise<Bounds | undefined>
}

const pressKey = (key: string) => ({ command: 'press_key', params: { key } })
type Elements = { text: string; bounds: Bounds }[]
const boundsOf = (elements: unknown, word: string): Bounds | undefined =>
  (elements as Elements).find(({ text }) => text === word)?.bounds

export const box: Screen = {
  deviceId: 'device1',
  capture: 'capture1',
  async prepare({ person, target }) {
    await person.mustPost('power/executeCommand', { ...target, command: 'power_on' })
    await person.mustPost('remote/executeCommand', { ...target, ...pressKey('HOME') })
  },
  press: ({ person, target }, more = {}) => person.post('remote/executeCommand', { ...target, ...pressKey('MENU'), ...more }),
  undo: ({ person, target }) => person.mustPost('remote/executeCommand', { ...target, ...pressKey('HOME') }),
  word: 'Channels',
  async find({ person, target }) {
    return boundsOf((await person.mustPost('remote/dumpUi', target)).elements, 'Channels')
  },
}

export const browser: Screen = {
  deviceId: 'host',
  capture: 'capture0',
  async prepare({ person, target }, page) {
    const opened = await person.mustPost('web/navigateToUrl', { ...target, url: `${page.url}/` })
    assert.equal(opened.title, 'Keys')
  },
  press: ({ person, target }, more = {}) => person.post('web/executeCommand', { ...target, ...pressKey('UP'), ...more }),
  undo: ({ person, target }) => person.mustPost('web/executeCommand', { ...target, ...pressKey('DOWN') }),
  word: 'Upward pressed',
  async find({ person, target }) {
    const { elements } = await person.mustPost('web/executeCommand', { ...target, command: 'dump_elements', params: {} })
    return boundsOf(elements, 'Upward pressed')
  },
}
