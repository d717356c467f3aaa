import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { LabError } from '@virtualpytest/shared'
import type { FastifyReply, FastifyRequest } from 'fastify'

const types: Record<string, string> = {
  jpg: 'image/jpeg',
  png: 'image/png',
  json: 'application/json',
  m3u8: 'application/vnd.apple.mpegurl',
  ts: 'video/mp2t',
  mp4: 'video/mp4',
  txt: 'text/plain; charset=utf-8',
}

/** One file with validators and ranges. What changes under its name is never cached without asking. */
export async function sendFile(file: string, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const facts = await stat(file).catch(() => null)
  if (!facts?.isFile()) throw new LabError('not_found', { text: 'There is no such file.' })
  const extension = file.split('.').at(-1) ?? ''
  const tag = `"${facts.size.toString(36)}-${Math.round(facts.mtimeMs).toString(36)}"`
  const isLive = extension === 'm3u8' || file.endsWith('verification_source.jpg')
  void reply.headers({
    'access-control-allow-origin': '*',
    'access-control-expose-headers': 'content-length, content-range, etag',
    'accept-ranges': 'bytes',
    etag: tag,
    'x-content-type-options': 'nosniff',
    'cache-control': isLive ? 'no-store' : 'no-cache',
    'content-type': types[extension] ?? 'application/octet-stream',
  })
  if (request.headers['if-none-match'] === tag) return reply.code(304).send()
  const range = readRange(request.headers.range, facts.size)
  if (range === 'unsatisfiable') {
    return reply.code(416).header('content-range', `bytes */${facts.size}`).send()
  }
  if (range) {
    void reply.code(206).header('content-range', `bytes ${range.start}-${range.end}/${facts.size}`)
    void reply.header('content-length', range.end - range.start + 1)
  } else void reply.header('content-length', facts.size)
  if (request.method === 'HEAD') return reply.send()
  return reply.send(createReadStream(file, range ?? (facts.size > 0 ? { start: 0, end: facts.size - 1 } : {})))
}

/** One range; several at once, which nobody here needs, are answered as the whole file. */
function readRange(header: string | undefined, size: number): { start: number; end: number } | 'unsatisfiable' | null {
  const [, from, to] = /^bytes=(\d*)-(\d*)$/.exec(header ?? '') ?? []
  if (from === undefined || to === undefined || (from === '' && to === '')) return null
  const start = from === '' ? Math.max(0, size - Number(to)) : Number(from)
  const end = from === '' || to === '' ? size - 1 : Math.min(size - 1, Number(to))
  return start >= size || start > end ? 'unsatisfiable' : { start, end }
}
