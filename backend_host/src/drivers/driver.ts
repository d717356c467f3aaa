/**
 * What every device kind looks like to the rest of the agent, and all that a driver may import besides its own folder.
 *
 * States: closed -> open -> closed -> open ... A driver starts closed; open() may be called again after close(). While it is
 * open, open() brings back what was lost, such as a browser that was killed, and changes nothing else.
 * Promises:
 * - execute() never throws for what a caller got wrong (unknown command, bad parameters, a device that refuses):
 *   that is an answer with success false. It rejects only with the signal's reason after an abort.
 * - screenshot() and screen() reject when the device is closed or cannot be reached.
 * - After close() nothing of the driver is left: no process, socket, timer or file.
 */
export type { Area, ParamDefinition } from './command-params.ts'
export type { ActionDefinition, CommandSpec, VerificationDefinition } from './command-table.ts'
export { defineCommand, definitionsOf, executeFrom } from './command-table.ts'
export { type Listen, measureLoudness, soundRate } from './loudness.ts'

import type { ActionDefinition, VerificationDefinition } from './command-table.ts'
import type { Listen } from './loudness.ts'

/** `success` false means that the command did not do its work; `error` then repeats the message, as clients read either. */
export type CommandResult = { success: boolean; message: string; [field: string]: unknown }

export type Screenshot = { data: Buffer; contentType: 'image/png' | 'image/jpeg'; width: number; height: number }

/** A JPEG of the moving picture; `at` is when it was taken, in ms of Date.now(). */
export type Frame = { data: Buffer; width: number; height: number; at: number }

export type WatchOptions = {
  /** Pictures a second that somebody wants now; may change while it is watched. */
  fps: () => number
  onFrame: (frame: Frame) => void
}

/** One visible thing of the screen, in the pixels of the screenshot. */
export type Element = {
  id: string
  text: string
  className: string
  contentDesc: string
  package: string
  bounds: { left: number; top: number; right: number; bottom: number }
  clickable: boolean
  enabled: boolean
  xpath: string | null
  /** Of a remote-controlled screen: whether the next OK goes here. */
  focused?: boolean
  /** How the program that shows it calls it; of Android. */
  resourceId?: string
}

export type Screen = { texts: string[]; elements: Element[] }

export type DeviceCapabilities = {
  av: string | null
  remote: string | null
  desktop: string | null
  web: string | null
  power: string | null
  ai: null
  verification: string[]
}

/** As sent at registration. Generated from the driver's command table, so that what is advertised works. */
export type DriverDefinitions = {
  device_capabilities: DeviceCapabilities
  device_action_types: Record<string, ActionDefinition[]>
  device_verification_types: Record<string, VerificationDefinition[]>
}

export interface Driver {
  readonly model: string
  readonly definitions: DriverDefinitions
  /** Commands that only ask how it is, and are carried out without opening it. Absent: there are none. */
  readonly asking?: ReadonlySet<string>
  open(signal: AbortSignal): Promise<void>
  execute(command: string, params: Record<string, unknown>, signal: AbortSignal): Promise<CommandResult>
  screenshot(signal: AbortSignal): Promise<Screenshot>
  screen(signal: AbortSignal): Promise<Screen>
  /**
   * Hands on pictures while they change, until the signal; a screen that stands still costs next to nothing. Resolves
   * after the abort, rejects when the device is lost. Absent: it is asked for screenshots instead.
   */
  watch?(options: WatchOptions, signal: AbortSignal): Promise<void>
  /** Loudness of what leaves the device, 0 to 100; absent: nothing of it can be heard. */
  sound?(signal: AbortSignal): Promise<number>
  /** The sound itself, for streams; absent: they are silent. */
  listen?: Listen
  close(): Promise<void>
}

/** Time comes in as an argument, so that tests of delays do not wait. */
export interface Clock {
  now(): number
  sleep(ms: number, signal: AbortSignal): Promise<void>
}
