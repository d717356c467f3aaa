import { createServer } from 'node:http'

/** Reference for the bench: node:http alone, sending bytes that are ready. `PUT path` sets them, `GET path` sends them. */
const bodies = new Map<string, Buffer>()

createServer((request, response) => {
  const path = request.url ?? '/'
  if (request.method === 'PUT') {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      bodies.set(path, Buffer.concat(chunks))
      response.end()
    })
    return
  }
  const body = bodies.get(path)
  if (!body) {
    response.writeHead(404).end()
    return
  }
  response.writeHead(200, { 'content-type': 'application/json; charset=utf-8', 'content-length': body.length }).end(body)
}).listen(Number(process.env.PORT), '127.0.0.1')
