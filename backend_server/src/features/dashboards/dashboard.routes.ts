import { dashboardRoutes } from '@virtualpytest/shared'
import type { FastifyRequest } from 'fastify'
import type { Mount } from '../../http/mount.ts'
import { cookieHeader } from './session-cookie.ts'
import type { SignOn } from './sign-on.ts'

export interface DashboardRouteOptions {
  signOn: SignOn
  publicUrl: () => string
  /** Whether web apps of other sites are meant to show dashboards. */
  isCrossSite: boolean
}

export function mountDashboardRoutes(mount: Mount, { signOn, publicUrl, isCrossSite }: DashboardRouteOptions): void {
  const cookie = (request: FastifyRequest, value: string): string =>
    cookieHeader(value, { isSecure: request.protocol === 'https' || publicUrl().startsWith('https:'), isCrossSite })

  mount(dashboardRoutes.openSession, ({ caller, request, reply }) => {
    const session = signOn.openSession(caller, request.headers.authorization)
    if (session) void reply.header('set-cookie', cookie(request, session.value))
    return { success: true, url: '/grafana/', expires_at: session ? new Date(session.end).toISOString() : null }
  })

  mount(dashboardRoutes.closeSession, ({ request, reply }) => {
    void reply.header('set-cookie', cookie(request, ''))
    return { success: true }
  })
}
