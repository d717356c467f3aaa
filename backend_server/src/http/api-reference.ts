import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'

/** The generated contract at /server/openapi.json and a readable page of it at /server/docs. */
export async function mountApiReference(app: FastifyInstance): Promise<void> {
  const file = fileURLToPath(new URL('../openapi.json', import.meta.resolve('@virtualpytest/shared')))
  const text = readFileSync(file, 'utf8')
  app.get('/server/openapi.json', (_request, reply) => reply.type('application/json').send(text))
  await app.register(swagger, { mode: 'static', specification: { document: JSON.parse(text) } })
  await app.register(swaggerUi, {
    routePrefix: '/server/docs',
    uiConfig: { docExpansion: 'list', defaultModelsExpandDepth: 0, tryItOutEnabled: true, displayRequestDuration: true },
    theme: { title: 'VirtualPyTest API' },
  })
}
