import { LabError } from '@virtualpytest/shared'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { MediaStore } from './media-store.ts'
import { sendFile } from './send-file.ts'

/**
 * Pictures and videos for browsers, which have no key. `onRequest` hears of every file that is asked for: the live
 * picture is made only while somebody looks, and waits here for its first pieces.
 */
export function publicMediaRoutes(
  app: FastifyInstance,
  { media, onRequest }: { media: MediaStore; onRequest: (capture: string, folder: string, name: string) => Promise<void> },
): void {
  const handler = async (request: FastifyRequest, reply: FastifyReply) => {
    const { capture = '', folder = '', inner, name = '' } = request.params as Record<string, string | undefined>
    const file = media.fileOf(['/host/stream', capture, folder, ...(inner === undefined ? [] : [inner]), name].join('/'))
    if (file === null) throw new LabError('not_found', { text: 'There is no such file.' })
    await onRequest(capture, folder, name)
    return sendFile(file, request, reply)
  }
  for (const url of ['/host/stream/:capture/:folder/:name', '/host/stream/:capture/:folder/:inner/:name'])
    app.route({ method: ['GET', 'HEAD'], url, handler })
  app.options('/host/stream/*', (_request, reply) =>
    reply
      .headers({
        'access-control-allow-origin': '*',
        'access-control-allow-methods': 'GET, HEAD, OPTIONS',
        'access-control-allow-headers': 'range, if-none-match, cache-control, pragma',
      })
      .code(204)
      .send(),
  )
}
