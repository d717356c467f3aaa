/** The channel list of the simulated box. `picture` names the moving picture that the channel shows. */
export type PictureName =
  | 'news'
  | 'sport'
  | 'mountains'
  | 'ocean'
  | 'kids'
  | 'city'
  | 'music'
  | 'kitchen'
  | 'weather'
  | 'market'
  | 'space'
  | 'testcard'

export type Channel = {
  number: number
  name: string
  ident: string
  color: string
  second: string
  picture: PictureName
  programs: readonly [string, string, string]
}

export const channels: readonly Channel[] = [
  channel(1, 'One HD', 'ONE', '#e5484d', '#7a1d3a', 'news', ['Morning Today', 'The Daily Briefing', 'Talk of the Town']),
  channel(2, 'Two HD', 'TWO', '#3b82f6', '#1e2a78', 'city', ['Harbor Nights', 'The Last Tram', 'Detective Lund']),
  channel(3, 'News 24', 'N24', '#dc2626', '#16213f', 'news', ['World at the Hour', 'Newsroom Live', 'In Depth']),
  channel(4, 'Sport Arena', 'SPA', '#22c55e', '#0f5132', 'sport', ['League Live', 'Match of the Week', 'Extra Time']),
  channel(5, 'Sport Arena 2', 'SP2', '#84cc16', '#1a4d2e', 'sport', [
    'Second Division Live',
    'Goals Goals Goals',
    'Coach Corner',
  ]),
  channel(6, 'Cinema Gold', 'CIN', '#eab308', '#3b2a0a', 'city', ['The Silver Bridge', 'Midnight in Porto', 'Paper Moon Hotel']),
  channel(7, 'Cinema Action', 'ACT', '#f97316', '#3a1208', 'city', ['Final Descent', 'Engine of War', 'Zero Margin']),
  channel(8, 'Planet Wild', 'WLD', '#10b981', '#1f4e79', 'mountains', [
    'Kingdom of the Ridge',
    'High Valleys',
    'Wolves in Winter',
  ]),
  channel(9, 'Ocean HD', 'OCN', '#06b6d4', '#083358', 'ocean', ['Blue Depths', 'The Reef', 'Voyage of the Whales']),
  channel(10, 'Kids Club', 'KID', '#f472b6', '#7c3aed', 'kids', ['Bouncy Friends', 'Tilly and the Kite', 'Count with Leo']),
  channel(11, 'Toon Town', 'TOO', '#fb923c', '#be185d', 'kids', ['Robo Rabbits', 'Captain Cloud', 'The Tiny Giants']),
  channel(12, 'Music Box', 'MBX', '#a855f7', '#2a0f4f', 'music', ['Top 20 Countdown', 'Live Sessions', 'Video Night']),
  channel(13, 'Retro Hits', 'RET', '#ec4899', '#3d0a3a', 'music', ['Best of the Eighties', 'One Hit Wonders', 'Disco Hour']),
  channel(14, 'Food & Home', 'F&H', '#f59e0b', '#5a2a0c', 'kitchen', ['Slow Kitchen', 'Bake Along', 'Market to Table']),
  channel(15, 'Travel One', 'TRV', '#0ea5e9', '#6b2d5c', 'mountains', ['Roads of the North', 'Island Diary', 'Night Train']),
  channel(16, 'Science+', 'SCI', '#6366f1', '#0b1030', 'space', ['Beyond the Orbit', 'How Stars End', 'The Lab']),
  channel(17, 'History Now', 'HIS', '#d97706', '#5b3a63', 'mountains', ['Castles and Kings', 'The Long Wall', 'Lost Cities']),
  channel(18, 'Weather Live', 'WTH', '#38bdf8', '#1e4e8c', 'weather', ['Weather Now', 'The Week Ahead', 'Storm Watch']),
  channel(19, 'Comedy Hour', 'COM', '#facc15', '#7f1d5f', 'city', ['Flat 4B', 'Open Mic', 'The Interns']),
  channel(20, 'Drama Series', 'DRA', '#be123c', '#1b1033', 'city', ['The Glass House', 'Northern Line', 'Inheritance']),
  channel(21, 'Arte Nova', 'ART', '#14b8a6', '#3b1d4a', 'music', ['Concert Hall', 'Studio Visit', 'Opera Season']),
  channel(22, 'Business World', 'BIZ', '#2dd4bf', '#0a2540', 'market', ['Opening Bell', 'Markets Live', 'Founders']),
  channel(23, 'Space TV', 'SPC', '#818cf8', '#14062e', 'space', ['Live from Orbit', 'Moon Diaries', 'Rocket Men']),
  channel(24, 'Test Card', 'TST', '#e5e7eb', '#111827', 'testcard', [
    'Picture and Sound Test',
    'Picture and Sound Test',
    'Picture and Sound Test',
  ]),
]

function channel(
  number: number,
  name: string,
  ident: string,
  color: string,
  second: string,
  picture: PictureName,
  programs: readonly [string, string, string],
): Channel {
  return { number, name, ident, color, second, picture, programs }
}

/** The list is fixed and not empty; an index outside wraps around, as a channel key does. */
export function channelAt(index: number): Channel {
  const wrapped = ((index % channels.length) + channels.length) % channels.length
  const found = channels[wrapped]
  if (!found) throw new Error('The channel list is empty')
  return found
}

const halfHourMs = 30 * 60_000

export type Program = { title: string; start: number; end: number }

/** Half-hour programs that follow from the time alone, so that the same moment always shows the same title. */
export function programAt(channel: Channel, time: number): Program {
  const start = Math.floor(time / halfHourMs) * halfHourMs
  const slot = Math.floor(time / halfHourMs) + channel.number
  const title = channel.programs[((slot % 3) + 3) % 3] ?? channel.programs[0]
  return { title, start, end: start + halfHourMs }
}
