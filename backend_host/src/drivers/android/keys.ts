/** Keys of the protocol and their codes in Android (`android.view.KeyEvent`). */
const common = {
  BACK: 4,
  HOME: 3,
  UP: 19,
  DOWN: 20,
  LEFT: 21,
  RIGHT: 22,
  OK: 23,
  ENTER: 66,
  DELETE: 67,
  TAB: 61,
  ESCAPE: 111,
  MENU: 82,
  POWER: 26,
  VOLUME_UP: 24,
  VOLUME_DOWN: 25,
  VOLUME_MUTE: 164,
  MEDIA_PLAY_PAUSE: 85,
} as const

const mobile = { ...common, APP_SWITCH: 187, CAMERA: 27, CALL: 5, ENDCALL: 6, WAKEUP: 224, SLEEP: 223 } as const

const digits: Record<string, number> = Object.fromEntries(Array.from({ length: 10 }, (_, digit) => [`${digit}`, 7 + digit]))
const tv = {
  ...common,
  MEDIA_STOP: 86,
  MEDIA_FAST_FORWARD: 90,
  MEDIA_REWIND: 89,
  CHANNEL_UP: 166,
  CHANNEL_DOWN: 167,
  INFO: 165,
  GUIDE: 172,
  RED: 183,
  GREEN: 184,
  YELLOW: 185,
  BLUE: 186,
  WAKEUP: 224,
  SLEEP: 223,
  ...digits,
} as const

export const keyCodes: Record<'mobile' | 'tv', Record<string, number>> = { mobile, tv }

export const labelOfKey = (key: string): string =>
  key
    .toLowerCase()
    .split('_')
    .map((word, index) => (index === 0 ? word.charAt(0).toUpperCase() + word.slice(1) : word))
    .join(' ')
