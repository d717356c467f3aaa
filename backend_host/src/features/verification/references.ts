import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { z } from 'zod'
import { loadPicture, type Picture } from '../../vision/picture.ts'
import type { MediaStore } from '../media/index.ts'
import type { ReferenceArea } from './eyes.ts'

const StoredArea = z.object({ x: z.number(), y: z.number(), width: z.number(), height: z.number() })
const StoredText = z.object({ text: z.string(), area: StoredArea.nullable() })
/** References that came with a call: the server keeps them, and sends those that a check names. */
export const GivenReferences = z
  .record(z.string(), z.object({ data: z.string().max(20_000_000), area: StoredArea.nullish() }))
  .nullish()
export type GivenReferences = z.infer<typeof GivenReferences>

export type FoundReference = { data: Buffer; picture: Picture; area: ReferenceArea | null }

export interface References {
  find(name: string, userinterface: string | null, given: GivenReferences): Promise<FoundReference>
  save(name: string, userinterface: string, data: Buffer, area: ReferenceArea | null): Promise<void>
  saveText(name: string, userinterface: string, text: string, area: ReferenceArea | null): Promise<void>
  /** Where a text that was saved under this name is expected; null when it may be anywhere, or is not known. */
  textArea(name: string, userinterface: string | null): Promise<ReferenceArea | null>
}

/**
 * Pictures to compare with. Looked for among those that came with the call, then as the content of a data URL, as a
 * picture of this host, and among those saved here. Never fetched from elsewhere: a check must not make this host call
 * addresses that its caller chose.
 */
export function createReferences(dataDir: string, media: MediaStore): References {
  const root = path.join(dataDir, 'references')
  const fileOf = (userinterface: string, name: string): string => path.join(root, safe(userinterface), safe(name))

  return {
    async find(name, userinterface, given) {
      const sent = given && Object.hasOwn(given, name) ? given[name] : undefined
      if (sent) return read(Buffer.from(sent.data.replace(/^data:[^,]*,/, ''), 'base64'), sent.area ?? null)
      const inline = /^data:image\/(?:png|jpeg|webp);base64,([A-Za-z0-9+/=\s]+)$/.exec(name)?.[1]
      if (inline) return read(Buffer.from(inline, 'base64'), null)
      if (name.includes('/host/stream/')) return read(await media.read(name), null)
      for (const place of userinterface === null ? ['default'] : [userinterface, 'default']) {
        const data = await readFile(`${fileOf(place, name)}.png`).catch(() => null)
        if (!data) continue
        const area: unknown = JSON.parse(await readFile(`${fileOf(place, name)}.json`, 'utf8').catch(() => 'null'))
        return read(data, StoredArea.nullable().catch(null).parse(area))
      }
      const shown = name.slice(0, 80)
      throw new Error(`There is no reference ${shown}${userinterface === null ? '' : ` for ${userinterface.slice(0, 80)}`}`)
    },
    async save(name, userinterface, data, area) {
      await write(fileOf(userinterface, name), { json: JSON.stringify(area), png: data })
    },
    async saveText(name, userinterface, text, area) {
      await write(fileOf(userinterface, name), { 'text.json': JSON.stringify({ text, area }) })
    },
    async textArea(name, userinterface) {
      for (const place of userinterface === null ? ['default'] : [userinterface, 'default']) {
        const content = await readFile(`${fileOf(place, name)}.text.json`, 'utf8').catch(() => null)
        if (content !== null) return StoredText.parse(JSON.parse(content)).area
      }
      return null
    },
  }
}

async function write(file: string, contents: Record<string, string | Buffer>): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true })
  for (const [extension, content] of Object.entries(contents)) {
    await writeFile(`${file}.${extension}.new`, content)
    await rename(`${file}.${extension}.new`, `${file}.${extension}`)
  }
}

/** Any name as one part of a path. */
function safe(name: string): string {
  const encoded = encodeURIComponent(name.toWellFormed().replace(/\.(png|jpe?g)$/i, '')).replace(/\./g, '%2E')
  if (encoded === '' || encoded.length > 180) throw new Error('The name of a reference has 1 to 60 characters')
  return encoded
}

async function read(data: Buffer, area: ReferenceArea | null): Promise<FoundReference> {
  const picture = await loadPicture(data).catch((cause: unknown) => {
    throw new Error('The reference is not a picture', { cause })
  })
  return { data, picture, area }
}
