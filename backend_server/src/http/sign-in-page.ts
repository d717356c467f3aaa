import { createHash } from 'node:crypto'
import { escapeHtml, type Page, pageHtml, strictPolicy } from './mounted-program/index.ts'

/** Exchanges a token for a cookie; the token itself is kept nowhere. A cookie for /server is not sent to addresses without it. */
const script = (door: string): string => `
document.querySelector('form').addEventListener('submit', async (event) => {
  event.preventDefault()
  const note = document.querySelector('[role=alert]')
  const button = document.querySelector('button')
  note.textContent = ''
  button.disabled = true
  const token = document.querySelector('input').value.trim()
  try {
    const answer = await fetch('${door}', { method: 'POST', headers: { Authorization: 'Bearer ' + token } })
    if (answer.ok) {
      if (/^\\/(grafana|server)\\//.test(location.pathname)) return location.reload()
      return location.replace('/server' + location.pathname + location.search)
    }
    note.textContent = (await answer.json()).error
  } catch {
    note.textContent = 'The server cannot be reached.'
  }
  button.disabled = false
  document.querySelector('input').select()
})
`

const body = (message: string, code: string): string => `<p>${escapeHtml(message)}</p>
<form>
<label>API token <input type="password" autocomplete="current-password" required autofocus spellcheck="false"></label>
<p role="alert"></p>
<button>Sign in</button>
</form>
<p><small>It begins with <code>vpt_</code>. Without one, ask an administrator, who makes it with <code>vpt token create NAME --role viewer</code></small></p>
<script>${code}</script>`

export interface SignInPage {
  title: string
  text: string
  /** The route that sets the cookie. */
  door: `/server/${string}`
  frameOrigins: readonly string[]
}

export function signInPage({ title, text, door, frameOrigins }: SignInPage): Page {
  const code = script(door)
  const hash = createHash('sha256').update(code).digest('base64')
  return {
    html: pageHtml(title, body(text, code)),
    contentSecurityPolicy: strictPolicy(frameOrigins, `script-src 'sha256-${hash}'; connect-src 'self'; `),
  }
}
