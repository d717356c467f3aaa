import { LabError } from '@virtualpytest/shared'
import { type ProgramRequest, splitUrl } from '../../http/mounted-program/index.ts'
import { connectionsOfTeam } from './data-source.ts'

/*
 * Each team has a data source of its own, and Grafana knows no limit over several of them. So this server, through which every
 * question comes, lets a few teams ask at the same time and the others wait their turn: the database never has more connections
 * of dashboards than the setting says (N14). One more is kept idle by the data source of the default team.
 */

const patienceMs = 15_000

/** Everything that makes Grafana ask a database. */
const asksDatabase =
  /^\/grafana\/+(?:api\/+(?:ds\/+query|tsdb\b|annotations\b|datasources\/.+\/(?:health|resources|proxy)\b|public\/.+\/query)|apis\/.*query)/i

/** Teams that may ask at the same time, for a number of connections. */
export const teamsAtOnce = (connections: number): number => Math.max(1, Math.floor((connections - 1) / connectionsOfTeam))

export function createTeamTurns(options: { connections: number; patienceMs?: number }) {
  const most = teamsAtOnce(options.connections)
  const active = new Map<string, number>()
  const waiting: { team: string; enter: () => void }[] = []

  function leave(team: string): void {
    const left = (active.get(team) ?? 1) - 1
    if (left > 0) active.set(team, left)
    else active.delete(team)
    // Whoever waits longest is next, and with it everybody of that team.
    while (waiting[0] && (active.has(waiting[0].team) || active.size < most)) {
      const { team: next } = waiting[0]
      for (const one of waiting.filter((other) => other.team === next)) one.enter()
    }
  }

  function hold(team: string): () => void {
    active.set(team, (active.get(team) ?? 0) + 1)
    let isOver = false
    return () => {
      if (isOver) return
      isOver = true
      leave(team)
    }
  }

  return {
    /** Waits until this team may ask; what it returns ends the turn. While others wait, nobody passes them. */
    async enter(team: string): Promise<() => void> {
      if (waiting.length === 0 && (active.has(team) || active.size < most)) return hold(team)
      return new Promise((resolve, reject) => {
        const one = {
          team,
          enter: () => {
            remove()
            resolve(hold(team))
          },
        }
        const remove = (): void => {
          clearTimeout(timer)
          waiting.splice(waiting.indexOf(one), 1)
        }
        const timer = setTimeout(() => {
          remove()
          reject(new LabError('grafana_unavailable', { text: 'Other teams look at their dashboards at the moment. Try again.' }))
        }, options.patienceMs ?? patienceMs)
        waiting.push(one)
      })
    },
    concerns: (request: ProgramRequest): boolean => !request.isUpgrade && asksDatabase.test(splitUrl(request.url)[0]),
  }
}
