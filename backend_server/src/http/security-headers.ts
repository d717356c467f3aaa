import helmet from 'helmet'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What answers here is no page of this server; its security headers are its own. */
    isOtherProgram?: boolean
  }
}

type Middleware = ReturnType<typeof helmet>

/** The security headers of every answer. They are the same each time, so they are put together once and not for each request. */
export function securityHeaders({ hasTls }: { hasTls: boolean }): [name: string, value: string][] {
  const setHeaders = helmet({
    // Pages of this server are the API reference and run reports; both carry their own scripts, styles and pictures.
    contentSecurityPolicy: {
      directives: {
        defaultSrc: ["'self'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'", "'unsafe-inline'"],
        imgSrc: ["'self'", 'data:'],
        upgradeInsecureRequests: null,
      },
    },
    crossOriginResourcePolicy: { policy: 'cross-origin' },
    strictTransportSecurity: hasTls,
  })
  const headers: [string, string][] = []
  const answer = { setHeader: (name: string, value: string) => headers.push([name, value]), removeHeader: () => undefined }
  setHeaders({} as Parameters<Middleware>[0], answer as never, () => undefined)
  return headers
}
