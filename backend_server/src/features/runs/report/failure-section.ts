import { stripVTControlCharacters } from 'node:util'
import type { Run } from '@virtualpytest/shared'
import { type Html, html } from './html.ts'
import type { Pictures } from './pictures.ts'
import type { PlacedStep, StepTimes } from './step-times.ts'
import { outcomeWord, stepAnchor } from './steps-section.ts'
import { showDuration } from './units.ts'
import { explainCode, showFailureClass, type Verdict } from './verdict.ts'

const lastLines = 8

/** Why the run did not pass: the message, the step it happened in and what the screen showed then. */
export function failureSection(
  run: Run,
  verdict: Verdict,
  times: StepTimes,
  pictures: Pictures,
  logTail: readonly string[],
): Html | null {
  if (verdict.tone === 'passed') return null
  const { broken } = times
  const failureClass = showFailureClass(run.failure_class)
  const explanation = run.error_code === null ? undefined : explainCode(run.error_code)
  const picture = broken?.step.screenshot_artifact_id
    ? pictures.large(broken.step.screenshot_artifact_id, `${broken.step.position}. ${broken.step.name}`)
    : null
  const stepMessage = broken?.step.message
  return html`<section class="card failure" aria-labelledby="what"><div class="text"><h2 id="what">${verdict.tone === 'cancelled' ? 'Why it ended' : 'What went wrong'}</h2>
${broken && html`<p class="lead">${lead(broken, times)}</p>`}
${stepMessage && html`<pre class="error-text">${stepMessage}</pre>`}
${run.error_message && run.error_message !== stepMessage && (stepMessage ? html`<p class="second">${run.error_message}</p>` : html`<pre class="error-text">${run.error_message}</pre>`)}
${!broken && lastWords(logTail)}
<p class="meaning">${explanation ?? verdict.meaning}</p>
${
  (run.error_code || failureClass) &&
  html`<ul class="chips">${run.error_code && html`<li>code <b>${run.error_code}</b></li>`}${failureClass && html`<li>cause <b>${failureClass}</b></li>`}</ul>`
}</div>${picture}</section>`
}

function lead(broken: PlacedStep, { steps }: StepTimes): Html {
  const { step, durationMs } = broken
  const after = durationMs === null ? null : html` after ${showDuration(durationMs)}`
  const word = step.outcome
    ? html`${step.outcome === 'error' ? 'ended with an error' : outcomeWord(step)}${after}`
    : html`was not finished`
  return html`<a href="#${stepAnchor(step)}">Step ${step.position} of ${steps.length}</a> <b>${step.name}</b> ${word}.`
}

/** Where no step tells the story, the end of the log mostly does. */
function lastWords(logTail: readonly string[]): Html | null {
  const lines = logTail
    .map((line) => stripVTControlCharacters(line))
    .filter((line) => line.trim() !== '' && !/SCRIPT_SUCCESS:/.test(line))
  if (lines.length === 0) return null
  return html`<p class="second">The log ended with:</p><pre class="error-text">${lines.slice(-lastLines).join('\n')}</pre>`
}
