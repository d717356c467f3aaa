import { LabError, parseTeamId, Room, rooms } from '@virtualpytest/shared'

/** Splits `team,host:NAME,...`. A comma may be part of a name, so only one that a new room follows counts. */
export const splitRooms = (list: string): string[] =>
  list
    .split(/,(?=\s*(?:team(?::|\s*(?:,|$))|host:|device:|run:))/i)
    .map((one) => one.trim())
    .filter(Boolean)

/** Names as events carry them. Other teams' rooms are refused; rooms of hosts, devices and runs are filtered by team later. */
export function roomNames(wanted: readonly string[], teamId: string): string[] {
  return [...new Set(wanted.map((one) => roomName(one, teamId)))]
}

function roomName(wanted: string, teamId: string): string {
  const checked = Room.safeParse(wanted)
  if (!checked.success)
    throw new LabError('validation_error', { text: `A room ${checked.error.issues[0]?.message ?? 'has no name'}.` })
  const [kind = '', ...rest] = wanted.split(':')
  const name = rest.join(':')
  switch (kind.toLowerCase()) {
    case 'team':
      if (rest.length > 0 && parseTeamId(name) !== teamId) {
        throw new LabError('forbidden', { text: 'This is the room of another team.' })
      }
      return rooms.team(teamId)
    case 'run':
      return rooms.run(name.toLowerCase())
    default:
      return `${kind.toLowerCase()}:${name}`
  }
}
