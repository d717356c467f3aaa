import { pipeline, type Readable } from 'node:stream'
import { LabError, mediaRoutes, mediaTypes } from '@virtualpytest/shared'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Database } from '../../db/database.ts'
import type { Caller } from '../../http/caller.ts'
import { abortWhenGone } from '../../http/gone.ts'
import { answered, type Mount } from '../../http/mount.ts'
import { watchCaller } from '../../http/watch-caller.ts'
import { failureStatus, findHost, type HostStream, type HostStreams, hostAddress, readText } from '../hosts/index.ts'
import { passLivePicture } from './live-picture.ts'

export interface MediaRouteOptions {
  db: Database
  hosts: Pick<HostStreams, 'stream'>
  apiKey: string | undefined
  resolveCaller: (request: FastifyRequest, access: 'viewer', byCookie: boolean) => Promise<Caller>
  /** How often a live picture asks whether its viewer may still see it. */
  recheckMs: number
  viewerStuckMs: number
}

const answerTimeoutMs = 15_000
/** A host that stops in the middle holds its viewer no longer than this. */
const silenceMs = 60_000
const asked = ['range', 'if-range', 'if-none-match', 'if-modified-since'] as const
const told = ['content-length', 'content-range', 'accept-ranges', 'etag', 'last-modified'] as const
const mostQuery = 500

/**
 * Pictures and videos of hosts for browsers that cannot, or may not, reach the hosts themselves. Nothing is stored here: the
 * host is read at the pace of the viewer, and no longer than there is one. `stop` ends live pictures, which have no end themselves.
 */
export function mountMediaRoutes(mount: Mount, options: MediaRouteOptions): { stop: () => void } {
  const live = new Set<HostStream['body']>()
  mount(mediaRoutes.live, async ({ params, query, caller, request, reply }) => {
    await send([params.capture, params.folder], { host_name: params.host_name, query, caller, request, reply })
    return answered
  })
  mount(mediaRoutes.file, async ({ params, query, caller, request, reply }) => {
    await send([params.capture, params.folder, params.name], { host_name: params.host_name, query, caller, request, reply })
    return answered
  })
  mount(mediaRoutes.fileInFolder, async ({ params, query, caller, request, reply }) => {
    await send([params.capture, params.folder, params.name, params.file], {
      host_name: params.host_name,
      query,
      caller,
      request,
      reply,
    })
    return answered
  })

  interface Asked {
    host_name: string
    query: Record<string, unknown>
    caller: Caller
    request: FastifyRequest
    reply: FastifyReply
  }
  async function send(names: readonly string[], { host_name, query, caller, request, reply }: Asked): Promise<void> {
    const host = await findHost(options.db, caller.teamId, host_name)
    if (!host) throw new LabError('host_not_found', { text: `Host "${host_name}" not found` })
    const stream = await options.hosts.stream(hostAddress(host, options.apiKey), {
      method: request.method === 'HEAD' ? 'HEAD' : 'GET',
      path: `/host/stream/${names.join('/')}`,
      query: passedQuery(query),
      headers: Object.fromEntries(
        asked.flatMap((name) => (typeof request.headers[name] === 'string' ? [[name, request.headers[name]]] : [])),
      ),
      timeoutMs: answerTimeoutMs,
      signal: abortWhenGone(reply),
      isWatching: names.at(-1) === 'live.mjpeg',
    })
    if (![200, 206, 304, 416].includes(stream.status)) {
      if (stream.status === 503 && (await readCode(stream.body)) === 'too_many_viewers') throw new LabError('too_many_viewers')
      stream.body.destroy()
      throw stream.status === 404
        ? new LabError('not_found', { text: 'The host has no such file.' })
        : new LabError('host_error', {
            text: `The host answered ${stream.status}.`,
            status: failureStatus(stream.status),
            errorType: 'host_error',
          })
    }
    if (names.at(-1) === 'live.mjpeg') {
      const watch = watchCaller({
        check: () => options.resolveCaller(request, 'viewer', true),
        everyMs: options.recheckMs,
        onRefused: () => stream.body.destroy(new Error('the viewer may not look any more')),
      })
      live.add(stream.body)
      stream.body.once('close', () => {
        watch.stop()
        live.delete(stream.body)
      })
    }
    pass(stream, names.at(-1) ?? '', reply)
  }

  function pass(stream: HostStream, file: string, reply: FastifyReply): void {
    const { raw } = reply.hijack()
    for (const [name, value] of Object.entries(reply.getHeaders())) if (value !== undefined) raw.setHeader(name, value)
    for (const name of told) {
      const value = stream.headers[name]
      if (typeof value === 'string' && !isUnprintable.test(value)) raw.setHeader(name, value)
    }
    // By the ending, never by what the host says: a page in place of a picture would run with the rights of this server.
    const ending = file.slice(file.lastIndexOf('.') + 1) as keyof typeof mediaTypes
    const boundary = /;\s*boundary=([\w-]{1,70})$/.exec(stream.headers['content-type'] ?? '')?.[1]
    raw.setHeader(
      'content-type',
      boundary && ending === 'mjpeg' ? `${mediaTypes.mjpeg}; boundary=${boundary}` : mediaTypes[ending],
    )
    raw.setHeader('content-security-policy', "default-src 'none'; sandbox")
    // With a validator a browser may keep it, for this person alone, and asks each time.
    const isValidated = stream.headers.etag !== undefined || stream.headers['last-modified'] !== undefined
    raw.setHeader('cache-control', isValidated && ending !== 'm3u8' ? 'private, no-cache' : 'no-store')
    // A proxy that gathers what it passes on would make the live picture late.
    if (ending === 'mjpeg') raw.setHeader('x-accel-buffering', 'no')
    raw.writeHead(stream.status)
    if (stream.status === 304 || reply.request.method === 'HEAD') {
      stream.body.resume()
      raw.end()
      return
    }
    const silent = setTimeout(() => stream.body.destroy(new Error('the host sent nothing more')), silenceMs)
    stream.body.on('data', () => silent.refresh())
    if (ending === 'mjpeg' && boundary) {
      stream.body.once('close', () => clearTimeout(silent))
      passLivePicture(stream.body, raw, { boundary, stuckMs: options.viewerStuckMs })
      return
    }
    // The client notices that the rest is missing, because the answer is cut off.
    pipeline(stream.body, raw, () => clearTimeout(silent))
  }

  return {
    stop() {
      for (const body of live) body.destroy(new Error('the server stops'))
    },
  }
}

/** Why a host refused, when it says so shortly. */
async function readCode(body: Readable): Promise<string | undefined> {
  const text = await readText(body, 10_000, AbortSignal.timeout(answerTimeoutMs)).catch(() => '')
  return /"code":"(\w{1,40})"/.exec(text)?.[1]
}

const isUnprintable = /[^\t\x20-\x7e]/

/** What players add, as plain short words; who the caller is stays here. */
function passedQuery(query: Record<string, unknown>): Record<string, string> {
  const plain = Object.entries(query).filter(
    (entry): entry is [string, string] =>
      entry[0] !== 'team_id' && /^\w{1,40}$/.test(entry[0]) && typeof entry[1] === 'string' && /^[\w.-]{0,100}$/.test(entry[1]),
  )
  const passed = Object.fromEntries(plain)
  return JSON.stringify(passed).length > mostQuery ? {} : passed
}
