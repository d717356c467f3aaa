import { writeFile } from 'node:fs/promises'
import { avRoutes, mediaFolders, mediaRoutes } from '@virtualpytest/shared'
import type { Command } from 'commander'
import { type ApiClient, createApiClient } from '../api-client.ts'
import { CliError, exitCodes } from '../cli-error.ts'
import { readCliConfig } from '../config.ts'
import { mustSucceed, targetOf } from '../drive/device-controls.ts'
import { formatOf, mustBeNamedAs, type PictureFormat } from '../picture-format.ts'
import { plain, say } from '../terminal.ts'
import { type Device, nameOf } from './leases.ts'
import { deviceAddress, examples } from './options.ts'

export function addScreenshotCommand(program: Command): void {
  program
    .command('screenshot')
    .summary('save what a device shows')
    .description('Takes a picture of the screen of a device, which is free or yours, and saves it.')
    .argument('<host:device>', 'which device, as vpt devices lists it', deviceAddress)
    .option(
      '-o, --output <file>',
      'where to; - is standard output. Default: HOST-DEVICE-TIME.jpg in this folder, .png if it is one',
    )
    .addHelpText(
      'after',
      examples(
        'vpt screenshot demo-host:device1',
        'vpt screenshot demo-host:device1 -o home.jpg',
        'vpt screenshot rack-3:host -o - | view',
      ),
    )
    .action(async (device: Device, { output }: { output?: string }) => {
      const picture = await takePicture(createApiClient(readCliConfig()), device)
      if (output === '-') {
        process.stdout.write(picture)
        return
      }
      const format = formatOf(picture)
      if (output !== undefined) mustBeNamedAs(output, format)
      const file = output ?? defaultName(device, format)
      await writeFile(file, picture).catch((cause: unknown) => {
        const reason = cause instanceof Error ? cause.message : String(cause)
        throw new CliError(`The picture could not be saved: ${reason}`, { exitCode: exitCodes.error, cause })
      })
      say(plain(file))
    })
}

/** Taken on the host and fetched through the server, so that it works for hosts that nobody else reaches. */
async function takePicture(api: ApiClient, device: Device): Promise<Buffer> {
  const answer = await api.call(avRoutes.takeScreenshot, { body: targetOf(device) })
  mustSucceed(answer)
  const path = (answer.media as { screenshot_url?: unknown } | undefined)?.screenshot_url
  const [, capture = '', part = '', name = ''] = /\/stream\/([^/]+)\/([^/]+)\/([^/?]+)(?:\?.*)?$/.exec(String(path)) ?? []
  const folder = mediaFolders.find((one) => one === part)
  if (!folder)
    throw new CliError(`The host of ${nameOf(device)} named no picture that this server hands on.`, { exitCode: exitCodes.error })
  const response = await api.open(mediaRoutes.file, { params: { host_name: device.host_name, capture, folder, name } })
  return Buffer.from(await response.arrayBuffer())
}

function defaultName({ host_name, device_id }: Device, format: PictureFormat = 'jpg'): string {
  const time = new Date()
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replaceAll(':', '')
  return `${host_name}-${device_id}-${time}.${format}`.replace(/[^\w.-]/g, '_')
}
