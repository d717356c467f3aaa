import { createHash } from 'node:crypto'
import { escapeHtml, type Page, pageHtml } from '../../http/mounted-program/index.ts'

/** Exchanges a token for the cookie of the dashboards; the token itself is kept nowhere. */
const script = `
document.querySelector('form').addEventListener('submit', async (event) => {
  event.preventDefault()
  const note = document.querySelector('output')
  const token = document.querySelector('input').value.trim()
  try {
    const answer = await fetch('/server/grafana-session', { method: 'POST', headers: { Authorization: 'Bearer ' + token } })
    if (answer.ok) return location.reload()
    note.textContent = (await answer.json()).error
  } catch {
    note.textContent = 'The server cannot be reached.'
  }
})
`
const scriptHash = createHash('sha256').update(script).digest('base64')

const body = (message: string): string => `<p>${escapeHtml(message)}</p>
<form>
<label>API token <input type="password" autocomplete="current-password" required placeholder="vpt_..."></label>
<button>Sign in</button> <output></output>
</form>
<p><small>An administrator makes tokens with: vpt token create NAME --role viewer</small></p>
<script>${script}</script>`

export const signInPage = (): Page => ({
  html: pageHtml('Dashboards', body('Sign in with a token of this server.')),
  contentSecurityPolicy: `default-src 'none'; script-src 'sha256-${scriptHash}'; style-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; form-action 'none'`,
})
