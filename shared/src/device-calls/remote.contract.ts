import { z } from 'zod'
import { defineRoutes } from '../route.ts'
import { commandFields, defineDeviceCall, ScreenElement } from './device-call.ts'

const device = { device_id: z.string() }

export const remoteRoutes = defineRoutes({
  executeCommand: defineDeviceCall('/server/remote/executeCommand', {
    effect: 'changes',
    summary: 'Send a command to a device through its remote: a key, a tap, a text, an app',
    fields: { ...commandFields, remote_type: z.string().max(100).nullish() },
    answer: { message: z.string().nullish(), ...device },
  }),
  tapCoordinates: defineDeviceCall('/server/remote/tapCoordinates', {
    effect: 'changes',
    summary: 'Tap a point of the screen',
    fields: { x: z.number(), y: z.number() },
    answer: { message: z.string(), ...device },
  }),
  takeScreenshot: defineDeviceCall('/server/remote/takeScreenshot', {
    effect: 'reads',
    summary: 'The screen of a device as a base64 picture',
    answer: { screenshot: z.string(), ...device },
  }),
  screenshotAndDump: defineDeviceCall('/server/remote/screenshotAndDump', {
    effect: 'reads',
    summary: 'The screen of a device and the elements on it',
    answer: { screenshot: z.string().nullish(), elements: z.array(ScreenElement).nullish(), ...device },
  }),
  dumpUi: defineDeviceCall('/server/remote/dumpUi', {
    effect: 'reads',
    summary: 'The elements on the screen of a device',
    answer: { elements: z.array(ScreenElement), ...device },
  }),
  getApps: defineDeviceCall('/server/remote/getApps', {
    effect: 'reads',
    summary: 'The apps installed on a device',
    answer: { apps: z.array(z.looseObject({ packageName: z.string(), label: z.string().nullish() })), ...device },
  }),
})
