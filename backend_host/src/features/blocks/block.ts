import type { Clock } from '../../drivers/driver.ts'
import type { Machine } from '../desktop/index.ts'

/** What a block may use. It has no device. */
export interface Block {
  clock: Clock
  /** Null where the shell of this host is off: then no code of callers runs here. */
  machine: Machine | null
}
