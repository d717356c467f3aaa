import type {
  Clock,
  CommandResult,
  CommandSpec,
  Driver,
  DriverDefinitions,
  Screenshot,
  VerificationDefinition,
} from '../../drivers/driver.ts'
import { definitionsOf, executeFrom } from '../../drivers/driver.ts'
import type { Ocr } from '../../vision/ocr.ts'
import { toJpeg } from '../../vision/picture.ts'
import { type MediaStore, timedName } from '../media/index.ts'
import { audioChecks } from './audio-checks.ts'
import { checksAsActions } from './checks-as-actions.ts'
import type { EvidencePictures, Eyes } from './eyes.ts'
import { imageChecks } from './image-checks.ts'
import { recordedAudioChecks, recordedVideoChecks } from './recorded-checks.ts'
import type { GivenReferences, References } from './references.ts'
import { subtitleCheck } from './subtitle-check.ts'
import { textChecks } from './text-checks.ts'
import { videoChecks } from './video-checks.ts'
import { zappingCheck } from './zapping-check.ts'

/** What only one call knows. */
export interface CheckContext {
  userinterface?: string | null | undefined
  /** A picture to look at instead of the screen. */
  imageSource?: string | null | undefined
  references?: GivenReferences
}

/** A device as the checks need it. */
export interface CheckedDevice {
  capture: string
  driver: Driver
  screenshot(signal: AbortSignal): Promise<Screenshot>
  sound: ((signal: AbortSignal) => Promise<number>) | null
  lastCommandAt(): number
  press(key: string, signal: AbortSignal): Promise<CommandResult>
}

export interface Checks {
  readonly ocr: Ocr | null
  readonly references: References
  /** What such a device can do here: what its driver does and checks by itself, and the checks of this host. */
  definitionsFor(driver: Driver): Pick<DriverDefinitions, 'device_action_types' | 'device_verification_types'>
  /** True when this command is one of these checks and the driver has no own one of that name. */
  has(driver: Driver, command: string, kind?: string): boolean
  execute(
    device: CheckedDevice,
    call: { command: string; kind?: string | undefined; params: Record<string, unknown>; context?: CheckContext },
    signal: AbortSignal,
  ): Promise<CommandResult>
}

export interface CheckOptions {
  clock: Clock
  ocr: Ocr | null
  media: MediaStore
  references: References
  /** The last looks of the monitor at the device of this capture; absent: no checks of them are offered. */
  lastLooks?: (capture: string, count: number, signal: AbortSignal) => Promise<Record<string, unknown>[]>
}

/** Every check of this host, by kind. */
export const checkTables = {
  image: imageChecks,
  text: textChecks,
  video: [...videoChecks, zappingCheck, subtitleCheck, ...recordedVideoChecks],
  audio: [...audioChecks, ...recordedAudioChecks],
} as const satisfies Record<string, readonly CommandSpec<Eyes>[]>
const recordedNames = [...recordedVideoChecks, ...recordedAudioChecks].map((one) => one.name)

const noCapabilities = { av: null, remote: null, desktop: null, web: null, power: null, ai: null, verification: [] }

/**
 * Checks that need nothing of a device but its picture and sound, so that every kind of device has the same ones. A
 * check that cannot work here (no Tesseract, no sound) is not offered.
 */
export function createChecks(options: CheckOptions): Checks {
  const { clock, ocr, media, references, lastLooks } = options

  /** What needs something that is missing here is not there. */
  const tablesOf = (driver: Driver): Record<string, readonly CommandSpec<Eyes>[]> => {
    const isPossible = ({ name }: CommandSpec<Eyes>): boolean =>
      (ocr !== null || name !== subtitleCheck.name) && (lastLooks !== undefined || !recordedNames.includes(name))
    return {
      image: imageChecks,
      ...(ocr && { text: textChecks }),
      video: checkTables.video.filter(isPossible),
      ...(driver.sound && { audio: checkTables.audio.filter(isPossible) }),
    }
  }
  const ownOf = (driver: Driver): VerificationDefinition[] => Object.values(driver.definitions.device_verification_types).flat()

  function eyesOf(device: CheckedDevice, context: CheckContext): Eyes {
    const { imageSource } = context
    return {
      clock,
      ocr,
      sound: device.sound,
      press: (key, signal) => device.press(key, signal),
      commandAt: () => device.lastCommandAt(),
      lastLooks: lastLooks ? (count, signal) => lastLooks(device.capture, count, signal) : null,
      async picture(signal) {
        if (!imageSource) return device.screenshot(signal)
        return { data: await media.read(imageSource), contentType: 'image/jpeg', width: 0, height: 0 }
      },
      reference: (name) => references.find(name, context.userinterface ?? null, context.references ?? null),
      textArea: (name) => references.textArea(name, context.userinterface ?? null),
      keep: (pictures) => keep(device.capture, pictures),
    }
  }

  async function keep(capture: string, { source, reference, overlay }: EvidencePictures) {
    const store = async (what: string, picture: Buffer | undefined): Promise<string | null> => {
      if (!picture) return null
      return media.write(capture, 'verification_results', timedName(what, 'jpg'), await toJpeg(picture))
    }
    const [sourceUrl, referenceUrl, overlayUrl] = await Promise.all([
      store('source', source),
      store('reference', reference),
      store('overlay', overlay),
    ])
    return { sourceUrl, referenceUrl, overlayUrl }
  }

  return {
    ocr,
    references,
    definitionsFor(driver) {
      const tables = Object.values(tablesOf(driver)).flat()
      const shared = definitionsOf(tables, noCapabilities).device_verification_types
      const { device_action_types, device_verification_types } = driver.definitions
      return {
        device_action_types: { ...device_action_types, ...checksAsActions(driver, Object.values(shared).flat()) },
        device_verification_types: { ...shared, ...device_verification_types },
      }
    },
    has(driver, command, kind) {
      if (ownOf(driver).some((one) => one.command === command && (kind === undefined || one.verification_type === kind)))
        return false
      const tables = tablesOf(driver)
      const looked = kind === undefined ? Object.values(tables).flat() : (tables[kind] ?? [])
      return looked.some((one) => one.name === command)
    },
    async execute(device, { command, kind, params, context = {} }, signal) {
      const tables = tablesOf(device.driver)
      const commands = kind === undefined ? Object.values(tables).flat() : (tables[kind] ?? [])
      const result = await executeFrom(commands, {
        device: eyesOf(device, context),
        command,
        params,
        signal,
        clock,
        isLenient: true,
      })
      const type = Object.entries(tables).find(([, table]) => table.some((one) => one.name === command))?.[0]
      return { ...result, verification_type: type ?? kind, resultType: result.success ? 'PASS' : 'FAIL' }
    },
  }
}
