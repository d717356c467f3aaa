import { z } from 'zod'
import { HostName } from '../ids.ts'
import { defineRoutes } from '../route.ts'
import {
  commandFields,
  DeviceTarget,
  DeviceTargetQuery,
  defineDeviceCall,
  deviceCallFailures,
  hostAnswer,
} from './device-call.ts'

const executionTime = { execution_time: z.number().nullish() }

/** The browser of a host. These calls act on the device `host`, or on the one they name where a host has several browsers. */
export const webRoutes = defineRoutes({
  executeCommand: {
    method: 'POST',
    path: '/server/web/executeCommand',
    access: 'tester',
    summary: 'Send a command to the browser of a host; browser_use_task runs in the background and is answered with 202',
    query: DeviceTargetQuery,
    body: DeviceTarget.extend(commandFields),
    answers: {
      200: hostAnswer(executionTime),
      202: z.object({
        success: z.literal(true),
        task_id: z.uuid(),
        run_id: z.uuid(),
        status: z.literal('started'),
        message: z.string(),
      }),
    },
    failures: deviceCallFailures,
  },
  navigateToUrl: defineDeviceCall('/server/web/navigateToUrl', {
    effect: 'changes',
    summary: 'Open an address in the browser of a host',
    fields: { url: z.string().min(1).max(8000), timeout: z.number().min(0).nullish() },
    answer: executionTime,
  }),
  openBrowser: defineDeviceCall('/server/web/openBrowser', {
    effect: 'changes',
    summary: 'Start the browser of a host',
    answer: {
      ...executionTime,
      connected: z.boolean().nullish(),
      current_url: z.string().nullish(),
      page_title: z.string().nullish(),
    },
  }),
  closeBrowser: defineDeviceCall('/server/web/closeBrowser', {
    effect: 'changes',
    summary: 'Close the browser of a host',
    answer: executionTime,
  }),
  getPageInfo: defineDeviceCall('/server/web/getPageInfo', {
    effect: 'reads',
    summary: 'Address and title of the page in the browser of a host',
    answer: executionTime,
  }),
  getStatus: defineDeviceCall('/server/web/getStatus', {
    effect: 'reads',
    summary: 'Is the browser of a host running?',
    answer: { status: z.looseObject({}) },
  }),
  taskComplete: {
    method: 'POST',
    path: '/server/web/taskComplete',
    access: 'host',
    summary: 'Result of a browser_use_task; an unknown or ended task is answered with success, as hosts repeat nothing',
    body: z.object({
      task_id: z.string().min(1).max(100),
      host_name: HostName.nullish(),
      result: z.looseObject({ success: z.boolean().nullish(), execution_time: z.number().nullish() }).nullish(),
      execution_logs: z.string().nullish(),
      error: z.string().nullish(),
    }),
    bodyLimit: 64 * 1024 * 1024,
    answers: { 200: z.object({ success: z.literal(true), message: z.string() }) },
    failures: [400, 413],
  },
})
