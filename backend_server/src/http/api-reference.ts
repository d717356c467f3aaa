import { createReadStream, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { FastifyInstance } from 'fastify'

/** The files of Swagger UI that its page needs, with their types; nothing else of the package is served. */
const assets: Record<string, string> = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
  'favicon-32x32.png': 'image/png',
}

const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>VirtualPyTest API</title>
<link rel="icon" href="/server/docs/favicon-32x32.png">
<link rel="stylesheet" href="/server/docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/server/docs/swagger-ui-bundle.js"></script>
<script src="/server/docs/start.js"></script>
</body>
</html>
`

const start = `SwaggerUIBundle({
  url: '/server/openapi.json',
  dom_id: '#swagger-ui',
  deepLinking: true,
  docExpansion: 'list',
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  validatorUrl: null,
})
`

/**
 * The generated contract at /server/openapi.json and a readable page of it at /server/docs. Files are read when asked for:
 * a server that nobody reads about spends no memory on it.
 */
export function mountApiReference(app: FastifyInstance): void {
  const contract = fileURLToPath(new URL('../openapi.json', import.meta.resolve('@virtualpytest/shared')))
  const asset = (name: string): string => fileURLToPath(import.meta.resolve(`swagger-ui-dist/${name}`))
  app.get('/server/openapi.json', (_request, reply) => reply.type('application/json; charset=utf-8').send(readFileSync(contract)))
  app.get('/server/docs', (_request, reply) => reply.type('text/html; charset=utf-8').send(page))
  app.get('/server/docs/start.js', (_request, reply) => reply.type('text/javascript; charset=utf-8').send(start))
  for (const [name, type] of Object.entries(assets)) {
    app.get(`/server/docs/${name}`, (_request, reply) =>
      reply
        .type(type)
        .header('cache-control', 'public, max-age=3600')
        .send(createReadStream(asset(name))),
    )
  }
}
