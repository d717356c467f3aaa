import { z } from 'zod'
import { HostName, TeamQuery } from '../ids.ts'
import { defineRoutes } from '../route.ts'
import { commandFields, defineDeviceCall } from './device-call.ts'

/** Commands that run programs or code on the host itself. They need the role admin and a host where shells are allowed. */
export const shellCommands: readonly string[] = ['execute_bash_command', 'execute_pyautogui_launch', 'custom_code']

export const desktopRoutes = defineRoutes({
  bash: defineDeviceCall('/server/desktop/bash/executeCommand', {
    effect: 'changes',
    access: 'admin',
    summary: 'Run a shell command on a host where an administrator has allowed it',
    fields: commandFields,
    answer: {
      output: z.string().nullish(),
      exit_code: z.number().nullish(),
      execution_time: z.number().nullish(),
    },
  }),
  pyautogui: defineDeviceCall('/server/desktop/pyautogui/executeCommand', {
    effect: 'changes',
    summary: 'Use mouse and keyboard of the desktop of a host',
    fields: commandFields,
    answer: {},
  }),
  allowShell: {
    method: 'PUT',
    path: '/server/hosts/{host_name}/shell',
    access: 'admin',
    summary: 'Allow or forbid remote shells on a host; they are forbidden on a new one',
    params: z.object({ host_name: HostName }),
    query: TeamQuery,
    body: z.object({ allowed: z.boolean(), reason: z.string().max(500).nullish() }),
    answers: { 200: z.object({ success: z.literal(true), host_name: z.string(), allowed: z.boolean() }) },
    failures: [400, 404],
  },
})
