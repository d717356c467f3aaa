import { stripVTControlCharacters } from 'node:util'
import { type Html, html } from './html.ts'
import { plural } from './units.ts'

const openUpTo = 60
const longestLine = 2000

/** Error first means that these catch the eye; a word within a sentence about success must not. */
const errorLine =
  /^\s*(?:\[?(?:ERROR|FATAL|CRITICAL|FAIL(?:ED)?)\]?\b|Traceback \(most recent call last\)|Uncaught\b|✗|❌)|\b(?:[A-Z]\w*(?:Error|Exception)|error|exception):\s|\bSCRIPT_SUCCESS:false\b|"level":"?(?:error|fatal|50|60)\b/i
const warnLine = /^\s*\[?WARN(?:ING)?\]?\b|\bwarning:\s/i

export function logSection(tail: readonly string[], total: number, options: { isOpen: boolean; logLink: string | null }): Html {
  if (tail.length === 0) {
    return html`<section aria-labelledby="log"><h2 id="log">Log</h2><p class="card empty">The script wrote nothing.</p></section>`
  }
  const first = Math.max(total, tail.length) - tail.length + 1
  const whole =
    first === 1 ? plural(tail.length, 'line') : `last ${plural(tail.length, 'line')} of ${total.toLocaleString('en-US')}`
  const isOpen = options.isOpen || tail.length <= openUpTo
  return html`<section aria-labelledby="log"><div class="heading"><h2 id="log">Log</h2><p>${whole}${
    options.logLink && html` · <a href="${options.logLink}">whole log</a>`
  }</p></div>
<details class="card flush log" ${isOpen && html`open`}><summary>${isOpen ? 'Log lines' : 'Show the log lines'}</summary><ol style="--digits:${String(first + tail.length).length}">
${tail.map((line, index) => logLine(line, first + index))}</ol></details></section>`
}

function logLine(line: string, number: number): Html {
  // Colors and cursor movements of terminals are noise in a page.
  const text = stripVTControlCharacters(line)
  const tone = errorLine.test(text) ? html` class="bad"` : warnLine.test(text) ? html` class="warn"` : null
  const shown = text.length > longestLine ? `${text.slice(0, longestLine)}… (${plural(text.length, 'character')})` : text
  return html`<li data-n="${number}"${tone}><code>${shown}</code></li>
`
}
