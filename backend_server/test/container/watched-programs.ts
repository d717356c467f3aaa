import { until } from '../until.ts'
import type { Container } from './container.ts'

/** Takes Grafana's place where it is not installed. */
export const grafanaStandIn = '/opt/test-programs/grafana-stand-in'
export const withStandIn = { GRAFANA: 'embedded', GRAFANA_BIN: grafanaStandIn }

export const untilRunning = (container: Container, programs: string[], timeoutMs = 60_000): Promise<true> =>
  until(
    `${programs.join(', ')} run`,
    () => {
      const states = container.states()
      return programs.every((program) => states[program]?.state === 'RUNNING') || undefined
    },
    timeoutMs,
  )

export interface WatchedProgram {
  name: string
  restarts: number
  state: string
}

/** What process 1 has written down for the API. */
export const watchedPrograms = (container: Container): WatchedProgram[] =>
  (JSON.parse(container.exec('cat', '/run/virtualpytest/programs.json').stdout) as { programs: WatchedProgram[] }).programs
