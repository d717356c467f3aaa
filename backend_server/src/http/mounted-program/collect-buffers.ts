import v8 from 'node:v8'
import vm from 'node:vm'

/*
 * Node reads every 64 kB of a body into a buffer of its own, and V8 counts those bytes only when it looks: a download of
 * 50 MB left 50 MB of dead buffers in the process, which the allocator then keeps. Collecting the young generation now and
 * then leaves 5 MB, and large bodies cost half the processor time, because the same memory is used again instead of fresh pages.
 */

const everyBytes = 4 * 1024 * 1024

type Collect = (options: { type: 'minor' }) => void
let collect: Collect | undefined

/** Needs a context of its own, which a server without large bodies never makes. */
function garbageCollector(): Collect {
  v8.setFlagsFromString('--expose-gc')
  return vm.runInNewContext('gc') as Collect
}

/** Is told the size of each part. Counts over all bodies: many of 1 MB leave as much behind as a large one. */
export function createBufferCollector(): (bytes: number) => void {
  let passed = 0
  return (bytes) => {
    passed += bytes
    if (passed < everyBytes) return
    passed = 0
    collect ??= garbageCollector()
    collect({ type: 'minor' })
  }
}
