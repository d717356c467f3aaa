import { LabError } from '@virtualpytest/shared'
import type { FastifyRequest } from 'fastify'
import type { Page } from '../../http/mounted-program/index.ts'
import { signInPage } from '../../http/sign-in-page.ts'

/** Who follows a link to a report or a picture without being signed in gets a way to do so; scripts and programs get JSON. */
export const createRefusalPage =
  (frameOrigins: readonly string[]) =>
  (error: unknown, request: FastifyRequest): Page | undefined => {
    const { headers, method } = request
    const destination = headers['sec-fetch-dest']
    if (!(error instanceof LabError) || error.code !== 'unauthorized' || headers.authorization !== undefined) return undefined
    if (method !== 'GET' || !/\btext\/html\b/.test(headers.accept ?? '')) return undefined
    if (destination !== undefined && !/^i?frame$|^document$/.test(String(destination))) return undefined
    return signInPage({
      title: 'Sign in',
      text: 'Sign in with your API token of this server to see this.',
      door: '/server/auth/session',
      frameOrigins,
    })
  }
