import type { FastifyInstance } from 'fastify'

export interface HealthContext {
  hostName: string
  version: string
  isRegistered: () => boolean
}

/** The one call of the server that needs no key: it says that the agent is there and nothing else about it. */
export function healthRoutes(app: FastifyInstance, { hostName, version, isRegistered }: HealthContext): void {
  app.get('/host/system/health', () => ({
    status: 'ok',
    timestamp: Date.now() / 1000,
    mode: 'host',
    host_name: hostName,
    // Original hosts say here whether they reach their database; this agent has none.
    supabase: false,
    agent: 'virtualpytest-host',
    agent_version: version,
    registered: isRegistered(),
  }))
}
