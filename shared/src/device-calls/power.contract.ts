import { z } from 'zod'
import { defineRoutes } from '../route.ts'
import { defineDeviceCall } from './device-call.ts'

const device = { device_id: z.string() }

export const powerRoutes = defineRoutes({
  getStatus: defineDeviceCall('/server/power/getStatus', {
    effect: 'reads',
    summary: 'Is the power of a device on?',
    answer: { status: z.unknown(), ...device },
  }),
  executeCommand: defineDeviceCall('/server/power/executeCommand', {
    effect: 'changes',
    summary: 'Switch the power of a device',
    fields: { command: z.enum(['power_on', 'power_off', 'reboot']) },
    answer: { message: z.string().nullish(), ...device },
  }),
})
