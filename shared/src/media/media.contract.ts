import { z } from 'zod'
import { HostName } from '../ids.ts'
import { defineRoutes, type Route } from '../route.ts'

/** What hosts offer below /host/stream/CAPTURE/. */
export const mediaFolders = ['segments', 'captures', 'thumbnails', 'metadata', 'audio', 'transcript', 'hot'] as const

/** How a file of each ending is answered, whatever its host says: none of them is anything that a browser would run. */
export const mediaTypes = {
  m3u8: 'application/vnd.apple.mpegurl',
  ts: 'video/mp2t',
  m4s: 'video/iso.segment',
  mp4: 'video/mp4',
  jpg: 'image/jpeg',
  png: 'image/png',
  mp3: 'audio/mpeg',
  json: 'application/json',
  log: 'application/json',
  mjpeg: 'multipart/x-mixed-replace',
} as const

/** No dots but the one before the ending, and none in front: no name can lead out of its folder. */
const Name = z
  .string()
  .max(120)
  .regex(/^[\w-]+$/, 'may contain letters, digits, _ and -')
const FileName = z
  .string()
  .max(120)
  .regex(new RegExp(`^[\\w-]+\\.(?:${Object.keys(mediaTypes).join('|')})$`), 'is no media file')

const read = {
  method: 'GET',
  access: 'viewer',
  byCookie: true,
  // Besides team_id what players add to ask for a fresh file goes on to the host.
  query: z.looseObject({ team_id: z.unknown().optional() }),
  answers: { 200: null, 206: null },
  produces: 'application/octet-stream',
  failures: [400, 404, 502, 503, 504],
} as const satisfies Partial<Route>
const params = z.object({ host_name: HostName, capture: Name, folder: z.enum(mediaFolders) })

export const mediaRoutes = defineRoutes({
  live: {
    ...read,
    path: '/server/hosts/{host_name}/stream/{capture}/{folder}',
    summary: 'The live picture of a device as MJPEG, for as long as it is watched; folder is live.mjpeg',
    params: z.object({ host_name: HostName, capture: Name, folder: z.literal('live.mjpeg') }),
  },
  file: {
    ...read,
    path: '/server/hosts/{host_name}/stream/{capture}/{folder}/{name}',
    summary: 'A picture, video or analysis of a host, with ranges and ETag; 304 and 416 as the host says',
    params: params.extend({ name: FileName }),
  },
  fileInFolder: {
    ...read,
    path: '/server/hosts/{host_name}/stream/{capture}/{folder}/{name}/{file}',
    summary: 'The same for files that a host keeps by hour or by kind',
    params: params.extend({ name: Name, file: FileName }),
  },
})
