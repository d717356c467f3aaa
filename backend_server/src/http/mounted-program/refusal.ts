import { type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { LabError } from '@virtualpytest/shared'
import { errorBody } from '../errors.ts'

/** Refusals of this server, which speaks in place of the program: JSON for programs, a page for people. */
export interface Refusal {
  status: number
  headers: Record<string, string>
  body: string
}

const common = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' }

export const jsonRefusal = (error: LabError, requestId: string): Refusal => ({
  status: error.status,
  headers: {
    ...common,
    'content-type': 'application/json; charset=utf-8',
    'x-request-id': requestId,
    ...(error.status === 503 && { 'retry-after': '5' }),
  },
  body: JSON.stringify(errorBody(error, requestId)),
})

/** An HTML document with the policy that its own parts need. */
export interface Page {
  html: string
  contentSecurityPolicy: string
}

export const pageRefusal = (error: LabError, requestId: string, page: Page): Refusal => ({
  status: error.status,
  headers: {
    ...common,
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': page.contentSecurityPolicy,
    'referrer-policy': 'no-referrer',
    'x-request-id': requestId,
    ...(error.status === 503 && { 'retry-after': '5' }),
  },
  body: page.html,
})

/** One heading, the sentence of the error, its code. A passing trouble reloads by itself. */
export function plainPage(title: string, error: LabError): Page {
  const refresh = error.status === 503 ? '<meta http-equiv="refresh" content="10">' : ''
  return {
    contentSecurityPolicy: "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
    html: pageHtml(title, `<p>${escapeHtml(error.message)}</p><p><small>${escapeHtml(error.code)}</small></p>`, refresh),
  }
}

export const pageHtml = (title: string, body: string, head = ''): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>${head}
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem;color:#222;background:#fff}
@media (prefers-color-scheme:dark){body{color:#ddd;background:#181b1f}}small{opacity:.7}
input,button{font:inherit;padding:.4rem .6rem;margin:.2rem 0}input{width:100%;box-sizing:border-box}</style>
</head>
<body>
<h1>${escapeHtml(title)}</h1>
${body}
</body>
</html>
`

export const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`)

export function sendRefusal(response: ServerResponse, refusal: Refusal): void {
  if (response.destroyed) return
  if (response.headersSent) {
    // The client must notice that the rest is missing.
    response.destroy()
    return
  }
  for (const name of response.getHeaderNames()) response.removeHeader(name)
  const body = Buffer.from(refusal.body)
  response.writeHead(refusal.status, { ...refusal.headers, 'content-length': body.length })
  response.end(body)
}

/** The answer to a handshake that came to nothing. */
export function endSocket(socket: Socket, refusal: Refusal): void {
  if (!socket.writable) return
  const head = Object.entries({ ...refusal.headers, 'content-length': Buffer.byteLength(refusal.body), connection: 'close' })
  const lines = head.map(([name, value]) => `${name}: ${value}`)
  socket.end(`HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status] ?? ''}\r\n${lines.join('\r\n')}\r\n\r\n${refusal.body}`)
}
