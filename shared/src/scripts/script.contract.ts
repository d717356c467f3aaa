import { z } from 'zod'
import { TeamQuery } from '../ids.ts'
import { defineRoutes } from '../route.ts'

export const ScriptParameterSchema = z
  .object({
    name: z.string().max(200),
    type: z.enum(['optional', 'positional']),
    required: z.boolean(),
    help: z.string().max(2000),
    default: z.string().max(2000).nullable(),
    value_type: z.enum(['str', 'int', 'float', 'bool']),
    suggestions: z.looseObject({}).optional(),
  })
  .meta({ id: 'ScriptParameter' })

/**
 * Name of a script as lists show it: Python without `.py`, other kinds with their extension, at most one folder.
 * No part may begin with a dot, so that a name can never leave the script folder.
 */
export const ScriptName = z
  .string()
  .min(1)
  .max(300)
  .regex(/^(?:[\p{L}\p{N}_][\p{L}\p{N}_. -]*\/)?[\p{L}\p{N}_][\p{L}\p{N}_. -]*$/u, 'is not a script name')

/** A script that a host can run, as our agent announces it. */
export const HostScript = z
  .object({
    name: ScriptName,
    description: z.string().max(2000).nullish(),
    parameters: z.array(ScriptParameterSchema).max(200).default([]),
  })
  .meta({ id: 'HostScript' })
export type HostScript = z.infer<typeof HostScript>

const success = z.literal(true)

export const scriptRoutes = defineRoutes({
  list: {
    method: 'GET',
    path: '/server/script/list',
    access: 'viewer',
    summary: 'Scripts of the server folder and of the hosts of the team',
    query: TeamQuery,
    answers: {
      200: z.object({
        success,
        scripts: z.array(z.string()),
        count: z.int(),
        scripts_directory: z.string(),
        regular_scripts: z.array(z.string()),
        ai_scripts: z.array(z.string()),
        ai_test_cases_info: z.array(z.unknown()),
        details: z.array(z.object({ name: z.string(), hosts: z.array(z.string()) })),
      }),
    },
    failures: [404],
  },
  analyze: {
    method: 'POST',
    path: '/server/script/analyze',
    access: 'viewer',
    summary: 'Parameters a script declares',
    query: TeamQuery,
    body: z.object({
      script_name: z.string().min(1).max(300),
      device_model: z.string().nullish(),
      device_id: z.string().nullish(),
    }),
    answers: {
      200: z.object({
        success,
        parameters: z.array(ScriptParameterSchema),
        script_name: z.string(),
        has_parameters: z.boolean(),
      }),
    },
    failures: [400, 404],
  },
})
