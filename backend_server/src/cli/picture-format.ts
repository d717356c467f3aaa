import path from 'node:path'
import { pictureType } from '@virtualpytest/shared'
import { CliError, exitCodes } from './cli-error.ts'

export type PictureFormat = 'jpg' | 'png'

const names: Record<string, PictureFormat> = { '.jpg': 'jpg', '.jpeg': 'jpg', '.png': 'png' }

/** What the bytes are, whatever their host calls them; undefined for a picture of another kind. */
export function formatOf(picture: Buffer): PictureFormat | undefined {
  const type = pictureType(picture)
  return type && (type === 'image/png' ? 'png' : 'jpg')
}

/** Programs believe the end of a name: a JPEG that is called .png opens in few of them. */
export function mustBeNamedAs(file: string, format: PictureFormat | undefined): void {
  const { dir, name, ext } = path.parse(file)
  const named = names[ext.toLowerCase()]
  if (format === undefined || named === undefined || named === format) return
  throw new CliError(
    `The device gives ${format === 'jpg' ? 'JPEG' : 'PNG'}, and ${file} is the name of another format. Nothing was saved.`,
    {
      exitCode: exitCodes.error,
      hints: [`Use this name: -o ${path.join(dir, `${name}.${format}`)}`],
    },
  )
}
