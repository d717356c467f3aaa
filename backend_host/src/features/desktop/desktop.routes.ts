import { LabError } from '@virtualpytest/shared'
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { parseRequest } from '../../http/errors.ts'
import { type Access, params, Target } from '../control/index.ts'
import { executeShell, type Machine } from './shell-commands.ts'

const DesktopCommand = Target.extend({ command: z.string().min(1).max(200), params })
const callTimeoutMs = 115_000

/**
 * The machine itself. `machine` is null unless whoever runs this host has switched its shell on; the server asks for the
 * role admin and for its own permission besides.
 */
export function desktopRoutes(
  app: FastifyInstance,
  { access, machine, browserId }: { access: Access; machine: Machine | null; browserId: () => string | undefined },
): void {
  app.post('/host/desktop/bash/executeCommand', async (request) => {
    const given = (request.body as { device_id?: unknown } | null)?.device_id
    const body = parseRequest(DesktopCommand, request.body)
    const device = access.devices.require(typeof given === 'string' ? given : (browserId() ?? body.device_id))
    if (!machine) {
      throw new LabError('shell_forbidden', { text: 'The shell of this host is off: HOST_SHELL=on in its settings allows it.' })
    }
    await access.admit(device, body.token)
    const result = await executeShell(machine, body.command, body.params ?? {}, AbortSignal.timeout(callTimeoutMs))
    // The protocol calls what the command wrote to its error stream `error`.
    const { stderr = '', output_data: _output, ...rest } = result
    return { ...rest, error: result.success || stderr !== '' ? stderr : result.error }
  })

  app.post('/host/desktop/pyautogui/executeCommand', () => {
    throw new LabError('not_implemented', {
      text: 'This host drives no mouse and keyboard of its own; use the commands of its browser.',
      errorType: 'host_error',
    })
  })
}
