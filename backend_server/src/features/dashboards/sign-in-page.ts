import { createHash } from 'node:crypto'
import { escapeHtml, type Page, pageHtml, strictPolicy } from '../../http/mounted-program/index.ts'

/** Exchanges a token for the cookie of the dashboards; the token itself is kept nowhere. */
const script = `
document.querySelector('form').addEventListener('submit', async (event) => {
  event.preventDefault()
  const note = document.querySelector('[role=alert]')
  const button = document.querySelector('button')
  note.textContent = ''
  button.disabled = true
  const token = document.querySelector('input').value.trim()
  try {
    const answer = await fetch('/server/grafana-session', { method: 'POST', headers: { Authorization: 'Bearer ' + token } })
    if (answer.ok) return location.reload()
    note.textContent = (await answer.json()).error
  } catch {
    note.textContent = 'The server cannot be reached.'
  }
  button.disabled = false
  document.querySelector('input').select()
})
`
const scriptHash = createHash('sha256').update(script).digest('base64')

const body = (message: string): string => `<p>${escapeHtml(message)}</p>
<form>
<label>API token <input type="password" autocomplete="current-password" required autofocus spellcheck="false"></label>
<p role="alert"></p>
<button>Sign in</button>
</form>
<p><small>It begins with <code>vpt_</code>. Without one, ask an administrator, who makes it with <code>vpt token create NAME --role viewer</code></small></p>
<script>${script}</script>`

export const signInPage = (frameOrigins: readonly string[]): Page => ({
  html: pageHtml('Dashboards', body('Sign in with your API token of this server.')),
  contentSecurityPolicy: strictPolicy(frameOrigins, `script-src 'sha256-${scriptHash}'; connect-src 'self'; `),
})
