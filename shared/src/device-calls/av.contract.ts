import { z } from 'zod'
import { defineRoutes } from '../route.ts'
import { defineDeviceCall, FileName } from './device-call.ts'

const device = { device_id: z.string() }

/** Picture and sound. Addresses of media are the host's own; `media` names the same things on this server. */
export const avRoutes = defineRoutes({
  takeScreenshot: defineDeviceCall('/server/av/takeScreenshot', {
    effect: 'uses',
    summary: 'Take a picture on the host; it replaces the last verification source',
    answer: { screenshot_url: z.string(), ...device },
  }),
  saveScreenshot: defineDeviceCall('/server/av/saveScreenshot', {
    effect: 'changes',
    summary: 'Take a picture and keep it under a name, for a node of a user interface',
    fields: { filename: FileName, userinterface_name: FileName },
    answer: { screenshot_url: z.string(), screenshot_path: z.string(), ...device },
  }),
  getStreamUrl: defineDeviceCall('/server/av/getStreamUrl', {
    effect: 'reads',
    summary: 'Where the live stream of a device is',
    answer: { stream_url: z.string(), mjpeg_url: z.string().optional(), ...device },
  }),
  getSegmentCapture: defineDeviceCall('/server/av/getSegmentCapture', {
    effect: 'reads',
    summary: 'The picture that belongs to a segment of the live stream',
    fields: { segment_number: z.number().min(0), fps: z.number().min(0).max(240).default(5) },
    answer: {
      capture_url: z.string(),
      capture_path: z.string(),
      segment_number: z.number(),
      capture_number: z.number(),
    },
  }),
  restartStream: defineDeviceCall('/server/system/restartHostStreamService', {
    effect: 'changes',
    summary: 'Start the stream of a device again, in another quality',
    fields: { quality: z.enum(['low', 'sd', 'hd']).default('sd') },
    answer: { restarted: z.boolean(), quality: z.string(), message: z.string(), ...device },
  }),
})
