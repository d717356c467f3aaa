/** One key press may arrive twice: from the terminal, and passed on by npm. */
const sameSignalMs = 400

/** Calls back for each signal a person sends, with its number from 1 on. Returns what ends that. */
export function onSignals(names: readonly NodeJS.Signals[], handle: (count: number) => void): () => void {
  let count = 0
  let lastAt = Number.NEGATIVE_INFINITY
  const onSignal = (): void => {
    const now = performance.now()
    const isRepeated = now - lastAt < sameSignalMs
    lastAt = now
    if (isRepeated) return
    count += 1
    handle(count)
  }
  for (const name of names) process.on(name, onSignal)
  return () => {
    for (const name of names) process.off(name, onSignal)
  }
}
