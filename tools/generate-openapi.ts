import swagger from '@fastify/swagger'
import { ApiError, allRoutes, type Route } from '@virtualpytest/shared'
import Fastify from 'fastify'
import { jsonSchemaTransform, jsonSchemaTransformObject, serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod'
import { z } from 'zod'

/** The OpenAPI 3.1 document of the contract, as shared/openapi.json. The routes are described, not run. */
export async function generate(): Promise<Record<string, string>> {
  const app = Fastify()
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'VirtualPyTest server',
        version: '1',
        description:
          'Control plane of a device test lab. Every route also answers without the /server prefix. Failures carry the ApiError body; its codes are in docs/errors.md.',
      },
      components: {
        securitySchemes: {
          token: { type: 'http', scheme: 'bearer', description: 'API token; not needed where AUTH_MODE is open' },
          browser: {
            type: 'apiKey',
            in: 'cookie',
            name: 'vpt_session',
            description:
              'Cookie of a signed-in browser (POST /server/auth/session); opens pictures, videos, files and reports only',
          },
          hostKey: {
            type: 'apiKey',
            in: 'header',
            name: 'X-API-Key',
            description: 'Key of a host; not needed where HOST_REGISTRATION is open',
          },
        },
      },
    },
    transform: jsonSchemaTransform,
    transformObject: jsonSchemaTransformObject,
  })
  for (const [feature, routes] of Object.entries(allRoutes)) {
    for (const [name, route] of Object.entries(routes)) {
      app.route({
        method: route.method,
        url: route.path.replace(/\{(\w+)\}/g, ':$1'),
        schema: describe(feature, name, route),
        handler: () => ({}),
      })
    }
  }
  await app.ready()
  const document = withoutUnused(app.swagger())
  await app.close()
  return { 'shared/openapi.json': `${JSON.stringify(document, null, 2)}\n` }
}

/** The schema library names every schema twice, as input and as output; what no route refers to would only confuse. */
function withoutUnused<T extends object>(document: T): T {
  const { schemas = {} } = ('components' in document ? document.components : {}) as { schemas?: Record<string, unknown> }
  for (;;) {
    const text = JSON.stringify(document)
    const unused = Object.keys(schemas).filter((name) => !text.includes(`"#/components/schemas/${name}"`))
    if (unused.length === 0) return document
    for (const name of unused) delete schemas[name]
  }
}

function describe(feature: string, name: string, route: Route): Record<string, unknown> {
  const failures = Object.fromEntries([...new Set([...(route.failures ?? []), 500])].map((status) => [status, ApiError]))
  return {
    operationId: `${feature}.${name}`,
    tags: [feature],
    summary: route.summary,
    security:
      route.access === 'public'
        ? []
        : route.access === 'host'
          ? [{ hostKey: [] }]
          : route.byCookie
            ? [{ token: [] }, { browser: [] }]
            : [{ token: [] }],
    description: `Access: ${route.access}.`,
    ...(route.params && { params: route.params }),
    ...(route.query && { querystring: route.query }),
    ...(route.body && { body: route.body }),
    ...(route.produces && { produces: [route.produces] }),
    response: {
      ...Object.fromEntries(
        Object.entries(route.answers).map(([status, schema]) => [status, schema ?? z.string().describe(route.produces ?? '')]),
      ),
      ...failures,
    },
  }
}
