/*
 * A host that cannot be reached is not asked again by every caller: after some failures to connect the circuit opens and
 * calls fail at once; after a pause one call may try, and its outcome decides.
 */

export interface CircuitOptions {
  /** Failures in a row after which it opens. */
  failures: number
  firstPauseMs: number
  longestPauseMs: number
}
export const defaultCircuit: CircuitOptions = { failures: 3, firstPauseMs: 2000, longestPauseMs: 30_000 }

interface Circuit {
  failures: number
  opens: number
  openUntil: number
  probing: boolean
}

export type Entry = { open: false; probe: boolean } | { open: true; retryInMs: number }

export function createCircuits(options: CircuitOptions = defaultCircuit, now: () => number = () => performance.now()) {
  const circuits = new Map<string, Circuit>()

  return {
    /** Asks to call. A `probe` is the one call that tries an open circuit, and must report how it went. */
    enter(key: string): Entry {
      const circuit = circuits.get(key)
      if (!circuit || circuit.failures < options.failures) return { open: false, probe: false }
      const left = circuit.openUntil - now()
      if (left > 0 || circuit.probing) return { open: true, retryInMs: Math.max(left, 1000) }
      circuit.probing = true
      return { open: false, probe: true }
    },
    connected(key: string): void {
      circuits.delete(key)
    },
    failed(key: string): void {
      const circuit = circuits.get(key) ?? { failures: 0, opens: 0, openUntil: 0, probing: false }
      circuit.failures += 1
      circuit.probing = false
      if (circuit.failures >= options.failures) {
        circuit.openUntil = now() + Math.min(options.longestPauseMs, options.firstPauseMs * 2 ** circuit.opens)
        circuit.opens += 1
      }
      circuits.set(key, circuit)
    },
    /** A probe that was given up by its caller proved nothing: the next call may try. */
    undecided(key: string): void {
      const circuit = circuits.get(key)
      if (circuit) circuit.probing = false
    },
    forget(key: string): void {
      circuits.delete(key)
    },
  }
}
export type Circuits = ReturnType<typeof createCircuits>
