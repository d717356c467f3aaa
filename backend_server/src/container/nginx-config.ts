import { errorCodes } from '@virtualpytest/shared'
import { apiPortBehindNginx } from '../platform-rules.ts'

/**
 * Answers of the API carry these already, and nginx adds nothing to them (U7). The test of both topologies compares them with what
 * the API sends.
 */
const securityHeaders: Record<string, string> = {
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'cross-origin',
  'Origin-Agent-Cluster': '?1',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'X-DNS-Prefetch-Control': 'off',
  'X-Download-Options': 'noopen',
  'X-Frame-Options': 'SAMEORIGIN',
  'X-Permitted-Cross-Domain-Policies': 'none',
  'X-XSS-Protection': '0',
}
const addHeaders = Object.entries({ 'Cache-Control': 'no-store', ...securityHeaders })
  .map(([name, value]) => `      add_header ${name} "${value}" always;`)
  .join('\n')

export interface NginxChoice {
  port: number
  runDir: string
  /** User of the workers where nginx itself runs as root. */
  workerUser: string | undefined
}

/** What nginx answers by itself, in the envelope of the API. Answers of the API pass unchanged, whatever their status. */
const ownAnswers: Record<number, { code: keyof typeof errorCodes; text?: string }> = {
  400: { code: 'validation_error' },
  404: { code: 'route_not_found' },
  405: { code: 'method_not_allowed' },
  408: { code: 'validation_error', text: 'The request took too long.' },
  413: { code: 'payload_too_large' },
  414: { code: 'validation_error', text: 'The address is too long.' },
  494: { code: 'validation_error', text: 'The request headers are too long.' },
  500: { code: 'internal' },
  502: { code: 'not_ready', text: 'The API does not answer at the moment.' },
  503: { code: 'not_ready', text: 'The API does not answer at the moment.' },
  504: { code: 'not_ready', text: 'The API does not answer in time.' },
}

export function nginxConfig(template: string, { port, runDir, workerUser }: NginxChoice): string {
  const values: Record<string, string> = {
    user: workerUser === undefined ? '' : `user ${workerUser};`,
    run: runDir,
    port: String(port),
    apiPort: String(apiPortBehindNginx),
    errors: Object.entries(ownAnswers).map(answer).join('\n'),
  }
  return template.replace(/\{\{(\w+)\}\}/g, (_, name: string) => {
    const value = values[name]
    if (value === undefined) throw new Error(`the nginx template asks for ${name}, which nobody fills in`)
    return value
  })
}

function answer([status, { code, text = errorCodes[code].text }]: [string, { code: keyof typeof errorCodes; text?: string }]) {
  // 494 is nginx's own number for headers that are too long.
  const sent = status === '494' ? '431' : status
  const body = JSON.stringify({ success: false, error: text, message: text, code, request_id: '$request_id' })
  return `    error_page ${status} @answer${status};
    location @answer${status} {
      internal;
${addHeaders}
      return ${sent} '${body.replaceAll("'", '\\u0027')}';
    }`
}
