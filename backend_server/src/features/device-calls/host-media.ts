import { LabError } from '@virtualpytest/shared'
import type { CallTarget } from './find-target.ts'

type MediaHost = Pick<CallTarget['host'], 'name' | 'url' | 'api_url'>

/** Addresses of media in answers of hosts. */
const mediaFields = [
  'stream_url',
  'mjpeg_url',
  'screenshot_url',
  'capture_url',
  'image_cropped_url',
  'image_filtered_url',
  'image_textdetected_url',
  'sourceUrl',
  'referenceUrl',
  'overlayUrl',
]

/**
 * The part of a media address that names a file of this host, as `/host/stream/...`; undefined when it names something else.
 * Hosts give addresses relative, absolute below their own URL (whose port the web app may have cut off), or as this server
 * shows them. Everything that could leave the folder of the host's media is no such address.
 */
export function hostMediaPath(address: string, host: MediaHost): string | undefined {
  if (/[\p{C}\\]/u.test(address)) return undefined
  const path = /^https?:/i.test(address) ? ownPath(address, host) : address
  if (path === undefined || !path.startsWith('/') || path.startsWith('//')) return undefined
  const here = `/server/hosts/${encodeURIComponent(host.name)}/`
  const media = path.startsWith(here) ? `/host/${path.slice(here.length)}` : path
  const found = /^(?:\/[\w.-]+)*?(\/host\/stream\/[^?#]+)(?:\?[^#]*)?$/.exec(media)?.[1]
  if (found === undefined) return undefined
  return found.split('/').some((part) => isUpward(part)) ? undefined : found
}

function ownPath(address: string, host: MediaHost): string | undefined {
  const url = URL.canParse(address) ? new URL(address) : undefined
  if (url?.username !== '' || url.password !== '') return undefined
  const own = [host.url, host.api_url].filter((one): one is string => one !== null && URL.canParse(one))
  if (!own.some((one) => new URL(one).hostname === url.hostname)) return undefined
  // The text as it was sent: a parsed URL has its upward parts resolved, and they must be seen here to be refused.
  return address.replace(/^https?:\/\/[^/?#]*/i, '')
}

const isUpward = (part: string): boolean => {
  try {
    return /^\.{1,2}$/.test(decodeURIComponent(part)) || /[/\\]/.test(decodeURIComponent(part))
  } catch {
    return true
  }
}

/** Refuses a picture that is none of this host: the host would fetch it from wherever the request says. */
export function assertOwnImage(address: string, host: MediaHost): void {
  if (hostMediaPath(address, host) !== undefined) return
  throw new LabError('validation_error', {
    text: `image_source_url: only pictures of host "${host.name}" below /host/stream/ can be used.`,
  })
}

/** The address as the host itself knows it, from whatever form a client holds. */
export const asHostAddress = (address: string, host: MediaHost): string =>
  address.startsWith('/server/') ? (hostMediaPath(address, host) ?? address) : address

/** Adds to an answer where its media are on this server, for browsers that cannot reach the host. */
export function withMedia(body: Record<string, unknown>, host: MediaHost): Record<string, unknown> {
  const found = mediaFields.flatMap((field) => {
    const value = body[field]
    const path = typeof value === 'string' ? hostMediaPath(value, host) : undefined
    return path === undefined ? [] : [[field, `/server/hosts/${encodeURIComponent(host.name)}${path.slice('/host'.length)}`]]
  })
  return found.length === 0 ? body : { ...body, media: Object.fromEntries(found) as Record<string, string> }
}
