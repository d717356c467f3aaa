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

/** Who may show a page of this server in a frame, as a part of a policy. Everybody else could lay something over it. */
const frames = (origins: readonly string[]): string => `frame-ancestors ${["'self'", ...origins].join(' ')}`
export const strictPolicy = (origins: readonly string[], more = ''): string =>
  `default-src 'none'; img-src data:; style-src 'unsafe-inline'; ${more}base-uri 'none'; form-action 'none'; ${frames(origins)}`

/** The sentence of the error, its code, and a way on. A passing trouble is looked at again by itself. */
export function plainPage(
  title: string,
  error: LabError,
  options: { frameOrigins?: readonly string[]; advice?: string } = {},
): Page {
  const { frameOrigins = [], advice } = options
  const isPassing = error.status === 503 && advice === undefined
  const body = [
    `<p>${escapeHtml(error.message)}</p>`,
    isPassing && '<p>This page looks again every 10 seconds. <a href="">Try now</a></p>',
    advice !== undefined && `<p>${advice}</p>`,
    `<p><small>${error.status} ${escapeHtml(error.code)}</small></p>`,
  ]
  return {
    contentSecurityPolicy: strictPolicy(frameOrigins),
    html: pageHtml(title, body.filter(Boolean).join('\n'), isPassing ? '<meta http-equiv="refresh" content="10">' : ''),
  }
}

export const pageHtml = (title: string, body: string, head = ''): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>${escapeHtml(title)}</title>${head}
<style>
:root{color-scheme:light dark;--back:#f4f5f7;--card:#fff;--text:#1f2328;--faint:#5c636b;--line:#d5d9de;--main:#1f5fbf;--bad:#b3261e}
@media (prefers-color-scheme:dark){:root{--back:#111217;--card:#181b1f;--text:#d8d9da;--faint:#9da3aa;--line:#34383e;--main:#6e9fff;--bad:#ff8a80}}
*{box-sizing:border-box}
body{font:16px/1.5 system-ui,sans-serif;margin:0;padding:12vh 1rem 2rem;color:var(--text);background:var(--back)}
main{max-width:27rem;margin:0 auto;padding:1.75rem 2rem;background:var(--card);border:1px solid var(--line);border-radius:8px}
h1{font-size:1.25rem;margin:0 0 .75rem}p{margin:.75rem 0}small,label{color:var(--faint)}small{font-size:.8125rem}p:has(small){line-height:1.35}
a{color:var(--main);white-space:nowrap}main>:last-child{margin-bottom:0}code{font-size:.875em;overflow-wrap:anywhere}
label{display:block;font-size:.875rem}
input,button{font:inherit;width:100%;padding:.5rem .75rem;border-radius:4px;border:1px solid var(--line)}
input{margin-top:.25rem;color:inherit;background:var(--back)}
button{margin-top:.75rem;border-color:var(--main);background:var(--main);color:var(--card);cursor:pointer}
button:disabled{opacity:.6;cursor:default}
:focus-visible{outline:2px solid var(--main);outline-offset:2px}
[role=alert]{color:var(--bad)}[role=alert]:empty{display:none}
</style>
</head>
<body>
<main>
<h1>${escapeHtml(title)}</h1>
${body}
</main>
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
