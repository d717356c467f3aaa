import { existsSync, readdirSync } from 'node:fs'
import path from 'node:path'

/** The library that moves the clock of a process, where Debian's package `faketime` is installed. */
export const faketime = readdirSync('/usr/lib')
  .map((name) => path.join('/usr/lib', name, 'faketime', 'libfaketimeMT.so.1'))
  .find(existsSync)

/** Environment of a process whose clock runs on, only elsewhere; its timers are left alone. */
export const clockMovedBy = (seconds: number): Record<string, string> =>
  seconds === 0 || faketime === undefined
    ? {}
    : { LD_PRELOAD: faketime, FAKETIME: `${seconds > 0 ? '+' : ''}${seconds}s`, FAKETIME_DONT_FAKE_MONOTONIC: '1' }
