import { until } from '../until.ts'
import type { Container } from './container.ts'

/** Takes Grafana's place where it is not installed. */
export const grafanaStandIn = '/opt/test-programs/grafana-stand-in'
export const withStandIn = { GRAFANA: 'embedded', GRAFANA_BIN: grafanaStandIn }

/** For the supervisor, and for process 1, which looks once a second and tells the API. */
export const untilRunning = (container: Container, programs: string[]): Promise<true> =>
  until(`${programs.join(', ')} run`, () => {
    const states = container.states()
    if (!programs.every((program) => states[program]?.state === 'RUNNING')) return false
    const seen = watchedPrograms(container)
    return programs.every((program) => seen.find(({ name }) => name === program)?.state === 'RUNNING')
  })

/** The API reads what process 1 has written down a moment later. */
export const untilAllIsWell = (container: Container, port = 10_000): Promise<true> =>
  until('health has no reasons', () => {
    const { text } = container.http(`http://127.0.0.1:${port}/health`)
    return text.startsWith('{') && (JSON.parse(text) as { status: string }).status === 'ok'
  })

export interface WatchedProgram {
  name: string
  restarts: number
  state: string
}

/** What process 1 has written down for the API. */
export function watchedPrograms(container: Container): WatchedProgram[] {
  const { stdout } = container.exec('cat', '/run/virtualpytest/programs.json')
  return stdout === '' ? [] : (JSON.parse(stdout) as { programs: WatchedProgram[] }).programs
}
