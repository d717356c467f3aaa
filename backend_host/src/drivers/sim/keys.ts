/** The keys of the remote, named as in the wire protocol. */
export const keyNames = [
  'UP',
  'DOWN',
  'LEFT',
  'RIGHT',
  'OK',
  'BACK',
  'HOME',
  'MENU',
  'INFO',
  'GUIDE',
  'POWER',
  'CHANNEL_UP',
  'CHANNEL_DOWN',
  'VOLUME_UP',
  'VOLUME_DOWN',
  'VOLUME_MUTE',
  'MEDIA_PLAY_PAUSE',
  'MEDIA_STOP',
  'MEDIA_FAST_FORWARD',
  'MEDIA_REWIND',
  '0',
  '1',
  '2',
  '3',
  '4',
  '5',
  '6',
  '7',
  '8',
  '9',
] as const

export type Key = (typeof keyNames)[number]

const labels: Partial<Record<Key, string>> = {
  OK: 'OK',
  CHANNEL_UP: 'Channel +',
  CHANNEL_DOWN: 'Channel -',
  VOLUME_UP: 'Volume +',
  VOLUME_DOWN: 'Volume -',
  VOLUME_MUTE: 'Mute',
  MEDIA_PLAY_PAUSE: 'Play / pause',
  MEDIA_STOP: 'Stop',
  MEDIA_FAST_FORWARD: 'Fast forward',
  MEDIA_REWIND: 'Rewind',
}

export function labelOfKey(key: Key): string {
  return labels[key] ?? key.charAt(0) + key.slice(1).toLowerCase()
}
