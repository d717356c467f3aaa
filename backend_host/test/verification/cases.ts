import type { Sharp } from 'sharp'

/**
 * Cases with the verdict a person would give. What a check gets wrong is among them, marked `isKnownMiss`; a miss that is
 * mended must be taken out. The tests beside judge them, and docs/verification.md is written from them.
 */
export type Screen = 'home' | 'tv' | 'menu' | 'settings' | 'app'

export interface TextCase {
  screen: Screen
  text: string
  isThere: boolean
  area?: { x: number; y: number; width: number; height: number }
  isKnownMiss?: true
}

export const textCases: TextCase[] = [
  { screen: 'home', text: 'On now', isThere: true },
  { screen: 'home', text: 'Apps and more', isThere: true },
  { screen: 'home', text: 'Sport Arena 2', isThere: true },
  { screen: 'home', text: 'Cinema Gold', isThere: true },
  { screen: 'home', text: 'STREAMLY', isThere: true, area: { x: 60, y: 604, width: 216, height: 76 } },
  // Bold letters on a bright tile, beside tiles of other colors.
  { screen: 'home', text: 'Streamly', isThere: true, isKnownMiss: true },
  { screen: 'home', text: 'Settings', isThere: true },
  { screen: 'home', text: 'All channels', isThere: true },
  { screen: 'home', text: 'Watch now', isThere: true, area: { x: 60, y: 116, width: 600, height: 258 } },
  // A framed pill in inverted colors is taken for a drawing when the whole screen is read.
  { screen: 'home', text: 'Watch now', isThere: true, isKnownMiss: true },
  { screen: 'home', text: 'Watch later', isThere: false },
  { screen: 'home', text: 'Sport Arena 3', isThere: false },
  { screen: 'home', text: 'Standby', isThere: false },
  { screen: 'home', text: 'On now', isThere: false, area: { x: 0, y: 0, width: 1280, height: 380 } },
  { screen: 'home', text: 'Settings', isThere: true, area: { x: 1004, y: 604, width: 216, height: 76 } },
  { screen: 'home', text: 'Search', isThere: false, area: { x: 1004, y: 604, width: 216, height: 76 } },
  { screen: 'tv', text: 'One HD', isThere: true },
  { screen: 'tv', text: 'Next:', isThere: true },
  { screen: 'tv', text: '12:00', isThere: true },
  { screen: 'tv', text: '12:05', isThere: false },
  { screen: 'tv', text: 'Two HD', isThere: false },
  { screen: 'menu', text: 'Live TV', isThere: true },
  { screen: 'menu', text: 'Standby', isThere: true },
  { screen: 'menu', text: 'Wi-Fi', isThere: false },
  { screen: 'settings', text: 'Picture format', isThere: true },
  { screen: 'settings', text: 'Audio language', isThere: true },
  { screen: 'settings', text: '192.0.2.17', isThere: true },
  { screen: 'settings', text: '192.0.2.71', isThere: false },
  { screen: 'settings', text: 'Software 4.2.1', isThere: true },
  { screen: 'settings', text: 'Software 4.2.7', isThere: false },
  { screen: 'app', text: 'Tunewave', isThere: true },
  { screen: 'app', text: 'Recommended for you', isThere: true },
  { screen: 'app', text: 'Acoustic Sunday', isThere: true },
  { screen: 'app', text: 'Acoustic Monday', isThere: false },
]

export interface ImageCase {
  name: string
  from: Screen
  crop: { left: number; top: number; width: number; height: number }
  change?: (image: Sharp) => Sharp
  on: Screen
  isThere: boolean
  threshold?: number
  area?: { x: number; y: number; width: number; height: number }
  isKnownMiss?: true
}

const logo = { left: 64, top: 38, width: 48, height: 48 }
const searchTile = { left: 768, top: 604, width: 216, height: 76 }
const newsTile = { left: 452, top: 428, width: 180, height: 66 }
export const imageCases: ImageCase[] = [
  { name: 'logo', from: 'home', crop: logo, on: 'home', isThere: true },
  { name: 'logo on another screen', from: 'home', crop: logo, on: 'settings', isThere: true },
  { name: 'logo of nothing', from: 'home', crop: logo, on: 'tv', isThere: false },
  { name: 'tile', from: 'home', crop: searchTile, on: 'home', isThere: true },
  { name: 'tile elsewhere', from: 'home', crop: searchTile, on: 'menu', isThere: false },
  {
    name: 'tile in its area',
    from: 'home',
    crop: searchTile,
    on: 'home',
    isThere: true,
    area: { x: 700, y: 560, width: 400, height: 160 },
  },
  {
    name: 'tile in another area',
    from: 'home',
    crop: searchTile,
    on: 'home',
    isThere: false,
    area: { x: 0, y: 0, width: 700, height: 500 },
  },
  {
    name: 'tile as JPEG of low quality',
    from: 'home',
    crop: newsTile,
    change: (image) => image.jpeg({ quality: 50 }),
    on: 'home',
    isThere: true,
  },
  { name: 'tile a little blurred', from: 'home', crop: newsTile, change: (image) => image.blur(0.8), on: 'home', isThere: true },
  {
    name: 'tile in another color',
    from: 'home',
    crop: newsTile,
    change: (image) => image.modulate({ hue: 120 }),
    on: 'home',
    isThere: false,
  },
  { name: 'tile mirrored', from: 'home', crop: newsTile, change: (image) => image.flop(), on: 'home', isThere: false },
  { name: 'button pressed', from: 'menu', crop: { left: 40, top: 100, width: 300, height: 70 }, on: 'tv', isThere: false },
  { name: 'banner number', from: 'tv', crop: { left: 84, top: 544, width: 132, height: 102 }, on: 'tv', isThere: true },
  {
    name: 'banner number on home',
    from: 'tv',
    crop: { left: 84, top: 544, width: 132, height: 102 },
    on: 'home',
    isThere: false,
  },
  { name: 'one letter', from: 'settings', crop: { left: 118, top: 48, width: 24, height: 28 }, on: 'settings', isThere: true },
  {
    name: 'tile a tenth larger',
    from: 'home',
    crop: newsTile,
    change: (image) => image.resize(198, 73),
    on: 'home',
    isThere: true,
    isKnownMiss: true,
  },
]

/** What is expected of each check after each move of the box, in this order. */
export const screenCases: Record<string, Record<string, boolean>> = {
  home: { DetectMotion: false, DetectFreeze: true, DetectBlackscreen: false, DetectSilence: true },
  'live picture': {
    DetectMotion: true,
    DetectFreeze: false,
    DetectBlackscreen: false,
    DetectSilence: false,
    WaitForVideoToAppear: true,
    WaitForAudioToAppear: true,
  },
  freeze: { DetectMotion: false, DetectFreeze: true, DetectBlackscreen: false, WaitForVideoToDisappear: true },
  black: { DetectMotion: false, DetectFreeze: true, DetectBlackscreen: true },
  'no sound': { DetectMotion: true, DetectSilence: true, WaitForAudioToAppear: false },
  'no fault': { DetectMotion: true, DetectSilence: false },
  paused: { DetectFreeze: true, DetectSilence: true, DetectBlackscreen: false },
  standby: { DetectFreeze: true, DetectBlackscreen: true, DetectSilence: true },
  off: { DetectBlackscreen: true, DetectSilence: true },
}

export interface ZapCase {
  name: string
  /** Keys before, with the time for everything to settle after them. */
  before: string[]
  key?: string
  fault?: { kind: 'black' | 'freeze'; seconds: number }
  isZap: boolean
  kind?: 'black' | 'freeze'
  isKnownMiss?: true
}

export const zapCases: ZapCase[] = [
  { name: 'next channel', before: ['OK'], key: 'CHANNEL_UP', isZap: true, kind: 'black' },
  { name: 'previous channel, a test card', before: ['OK'], key: 'CHANNEL_DOWN', isZap: true, kind: 'black' },
  { name: 'next channel with the list of channels open', before: ['OK', 'GUIDE'], key: 'CHANNEL_UP', isZap: true, kind: 'black' },
  { name: 'from home to the channel that was never watched', before: [], key: 'OK', isZap: true, kind: 'black' },
  { name: 'a film without any key', before: ['OK'], isZap: false },
  { name: 'menu over a film', before: ['OK'], key: 'MENU', isZap: false },
  { name: 'from a film to home', before: ['OK'], key: 'HOME', isZap: false },
  { name: 'a film is paused', before: ['OK'], key: 'MEDIA_PLAY_PAUSE', isZap: false },
  { name: 'volume over a film', before: ['OK'], key: 'VOLUME_UP', isZap: false },
  { name: 'moving on the home screen', before: [], key: 'DOWN', isZap: false },
  { name: 'black that stays', before: ['OK'], fault: { kind: 'black', seconds: 60 }, isZap: false },
  { name: 'standby', before: ['OK'], key: 'POWER', isZap: false },
  { name: 'the picture of a film stops for a second', before: ['OK'], fault: { kind: 'freeze', seconds: 1 }, isZap: false },
  { name: 'a film is black for a second', before: ['OK'], fault: { kind: 'black', seconds: 1 }, isZap: false, isKnownMiss: true },
]

export interface SubtitleCase {
  name: string
  /** Number of the channel; null: the screen named `name`. */
  channel: number | null
  subtitles: 'off' | 'English' | 'Deutsch' | 'Français'
  /** Right after the change of channel, while its banner is there. */
  hasBanner?: true
  /** A part of what is written. */
  text?: string
  language?: string
  isKnownMiss?: true
}

const off = (channel: number, name: string, more: Partial<SubtitleCase> = {}): SubtitleCase => ({
  name,
  channel,
  subtitles: 'off',
  ...more,
})
const on = (channel: number, name: string, text: string, more: Partial<SubtitleCase> = {}): SubtitleCase => ({
  name,
  channel,
  subtitles: 'English',
  text,
  language: 'eng',
  ...more,
})

export const subtitleCases: SubtitleCase[] = [
  on(1, 'news with a ticker', 'the'),
  on(4, 'green pitch', 'the'),
  on(8, 'snow on mountains', 'the'),
  on(10, 'bright cartoon', 'the'),
  on(12, 'stage with lights', 'the'),
  on(2, 'city at night, above the banner', 'the', { hasBanner: true, isKnownMiss: true }),
  on(9, 'underwater, German, read with English letters only', 'Hafen', { subtitles: 'Deutsch', language: 'deu' }),
  on(16, 'space, French, read with English letters only', 'bateau', { subtitles: 'Français', language: 'fra' }),
  off(1, 'news with a ticker'),
  off(4, 'green pitch'),
  off(8, 'snow on mountains'),
  off(10, 'bright cartoon'),
  off(18, 'weather map with names of towns'),
  off(22, 'tables of the stock market'),
  off(3, 'banner of the channel', { hasBanner: true }),
  off(24, 'test card with a line of text in its middle', { isKnownMiss: true }),
  { name: 'home', channel: null, subtitles: 'off' },
  { name: 'settings', channel: null, subtitles: 'off' },
]
