import { z } from 'zod'
import { defineRoutes } from '../route.ts'
import { defineDeviceCall } from './device-call.ts'

export const monitoringRoutes = defineRoutes({
  latestJson: defineDeviceCall('/server/monitoring/latest-json', {
    effect: 'reads',
    summary: 'What the monitor of a host found in the newest picture of a device',
    answer: { json_data: z.looseObject({}), filename: z.string(), timestamp: z.unknown() },
  }),
  liveEvents: defineDeviceCall('/server/monitoring/live-events', {
    effect: 'reads',
    summary: 'What the monitor of a host noticed lately on a device',
    answer: { events: z.array(z.unknown()), count: z.number() },
  }),
  listCaptures: defineDeviceCall('/server/monitoring/listCaptures', {
    effect: 'reads',
    summary: 'The newest pictures that a host keeps of a device',
    fields: { limit: z.int().min(1).max(10_000).default(180) },
    answer: {
      captures: z.array(z.looseObject({ filename: z.string(), timestamp: z.number(), url: z.string() })),
      total: z.number(),
    },
  }),
})
