import { randomUUID } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'

/** Folders of a capture that browsers may read; names as in the protocol. */
export const mediaFolders = [
  'captures',
  'segments',
  'thumbnails',
  'metadata',
  'verification_results',
  'cropped',
  'references',
] as const
export type MediaFolder = (typeof mediaFolders)[number]
/** What was made of pictures lies inside `captures` for whoever asks, as on original hosts: servers hand on no other folder. */
const insideCaptures: readonly MediaFolder[] = ['verification_results', 'cropped', 'references']

const safeName = /^[A-Za-z0-9_-]{1,160}(\.[A-Za-z0-9]{1,8}){1,2}$/
/** Evidence, crops and thumbnails are read within minutes, or copied by the server; older ones make room. */
const keptFiles: Partial<Record<MediaFolder, number>> = { verification_results: 300, cropped: 60, thumbnails: 400 }
/** Evidence shares its folder with nobody, so it is enough to look now and then. */
const writesBetweenCleanings = 20

/** Pictures and videos of the devices on disk, by capture (`capture1` for device1), folder and file name. */
export interface MediaStore {
  folderOf(capture: string, folder: MediaFolder): string
  urlOf(capture: string, folder: MediaFolder, name: string): string
  /** Writes so that nobody ever reads half a file; gives the URL. */
  write(capture: string, folder: MediaFolder, name: string, data: Buffer | string): Promise<string>
  /** The file behind a path such as /host/stream/capture1/captures/x.jpg, or null for everything else. */
  fileOf(urlPath: string): string | null
  /** The bytes behind such a path or a URL of this host; throws with a sentence for the caller. */
  read(url: string): Promise<Buffer>
}

export function createMediaStore(dataDir: string, captures: readonly string[]): MediaStore {
  const root = path.join(dataDir, 'media')
  const made = new Set<string>()
  let writes = 0

  const folderOf = (capture: string, folder: MediaFolder): string => path.join(root, capture, folder)
  const pathOf = (folder: MediaFolder): string => (insideCaptures.includes(folder) ? `captures/${folder}` : folder)
  const urlOf = (capture: string, folder: MediaFolder, name: string): string =>
    `/host/stream/${capture}/${pathOf(folder)}/${name}`

  async function clean(folder: string, kept: number): Promise<void> {
    // Names begin with the time in a form that sorts, so that no file has to be asked for its age.
    const names = (await readdir(folder)).sort()
    await Promise.all(
      names.slice(0, Math.max(0, names.length - kept)).map((name) => rm(path.join(folder, name), { force: true })),
    )
  }

  function fileOf(urlPath: string): string | null {
    const [, capture = '', asked = '', name = ''] = /^\/host\/stream\/([^/]+)\/([^/]+(?:\/[^/]+)?)\/([^/]+)$/.exec(urlPath) ?? []
    const known = mediaFolders.find((one) => pathOf(one) === asked)
    // The path on disk is made of names this program chose, never of what was asked for.
    if (!captures.includes(capture) || !known || !safeName.test(name)) return null
    return path.join(folderOf(capture, known), name)
  }

  return {
    folderOf,
    urlOf,
    fileOf,
    async write(capture, folder, name, data) {
      const target = folderOf(capture, folder)
      if (!made.has(target)) await mkdir(target, { recursive: true })
      made.add(target)
      const beside = path.join(target, `.${randomUUID()}`)
      await writeFile(beside, data)
      await rename(beside, path.join(target, name))
      const kept = keptFiles[folder]
      writes += 1
      if (kept !== undefined && writes % writesBetweenCleanings === 0) await clean(target, kept)
      return urlOf(capture, folder, name)
    },
    async read(url) {
      const urlPath = URL.parse(url, 'http://host.invalid')?.pathname ?? ''
      // Labs put the host behind a prefix, such as https://lab.example.org/pi2/host/stream/...
      const file = fileOf(urlPath.slice(Math.max(0, urlPath.indexOf('/host/stream/'))))
      const data = file === null ? null : await readFile(file).catch(() => null)
      if (!data) throw new Error('The picture is not among those of this host')
      return data
    },
  }
}

/** `capture1` for device1; the host's own desktop has the number 0 unless its settings name another folder. */
export const captureOf = (deviceId: string, streamPath?: string): string =>
  streamPath?.split('/').at(-1) ?? `capture${/^device(\d+)$/.exec(deviceId)?.[1] ?? '0'}`

/** A file name that sorts by time and never comes twice. */
export const timedName = (what: string, extension: string): string =>
  `${new Date().toISOString().replace(/\D/g, '').slice(0, 17)}_${what}_${randomUUID().slice(0, 8)}.${extension}`
