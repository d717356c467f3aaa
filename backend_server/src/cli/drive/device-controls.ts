import { hostRoutes, remoteRoutes, webRoutes } from '@virtualpytest/shared'
import type { ApiClient } from '../api-client.ts'
import { CliError, exitCodes } from '../cli-error.ts'
import { type Device, identity, nameOf } from '../commands/leases.ts'

/** Where a call goes and who makes it: the holder is recognized by what vpt take said. */
export const targetOf = (device: Device) => ({ ...device, ...identity() })

/** A browser has no remote: its commands go another way. */
export async function isBrowser(api: ApiClient, device: Device): Promise<boolean> {
  const { hosts } = await api.call(hostRoutes.getAllHosts)
  const found = hosts
    .find((host) => host.host_name === device.host_name)
    ?.devices.find((one) => one.device_id === device.device_id)
  if (!found) throw new CliError(`There is no device ${nameOf(device)}.`, { hints: ['What there is: vpt devices'] })
  const capabilities = (found.device_capabilities ?? {}) as Record<string, unknown>
  return !capabilities.remote && Boolean(capabilities.web)
}

export async function sendCommand(
  api: ApiClient,
  device: Device,
  { command, params, browser }: { command: string; params: Record<string, unknown>; browser: boolean },
): Promise<string> {
  const body = { ...targetOf(device), command, params }
  return browser
    ? mustSucceed(await api.call(webRoutes.executeCommand, { body }))
    : mustSucceed(await api.call(remoteRoutes.executeCommand, { body }))
}

/** What the device would not do is a failure like that of a test: exit code 1. */
export function mustSucceed(answer: { success: boolean; error?: unknown; message?: unknown }): string {
  const text = [answer.error, answer.message].find((one): one is string => typeof one === 'string' && one !== '')
  if (!answer.success) throw new CliError(text ?? 'The device could not do it.', { exitCode: exitCodes.failed })
  return text ?? 'Done.'
}
