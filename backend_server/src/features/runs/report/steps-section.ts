import type { RunStep } from '@virtualpytest/shared'
import { type Content, type Html, html } from './html.ts'
import { measuresOf } from './measures.ts'
import type { Pictures } from './pictures.ts'
import type { PlacedStep, StepTimes } from './step-times.ts'
import { isoAt, plural, showClock, showDuration, showMeasure } from './units.ts'
import { icon } from './verdict.ts'

/** More rows make a page that a phone cannot scroll; the run itself keeps them all. */
const mostSteps = 2000
const mostMeasuresShown = 8
const longestDetail = 300

export const stepAnchor = (step: RunStep): string => `step-${step.position}`

export const outcomeWord = (step: RunStep): string => step.outcome ?? 'not finished'
export const outcomeTone = (step: RunStep) => step.outcome ?? 'open'

export function stepsSection(times: StepTimes, pictures: Pictures): Html {
  const { steps, counts } = times
  if (steps.length === 0) {
    return html`<section aria-labelledby="steps"><h2 id="steps">Steps</h2><p class="card empty">No step was recorded.</p></section>`
  }
  const tally = (['failed', 'error', 'open', 'passed', 'skipped'] as const)
    .filter((outcome) => counts[outcome] > 0)
    .map((outcome) => html`<li>${icon(outcome)}${counts[outcome]} ${outcome === 'open' ? 'not finished' : outcome}</li>`)
  const hasPictures = steps.some(({ step }) => step.screenshot_artifact_id)
  return html`<section aria-labelledby="steps"><div class="heading"><h2 id="steps">Steps</h2><ul class="tally">${tally}</ul></div>
<div class="card flush"><table class="steps"><thead><tr><th scope="col" class="number">#</th><th scope="col">Step</th><th scope="col" class="when">Time</th>${
    hasPictures && html`<th scope="col" class="shot">Screen</th>`
  }</tr></thead><tbody>
${steps.slice(0, mostSteps).map((placed) => row(placed, times, pictures, hasPictures))}
</tbody></table></div>${
    steps.length > mostSteps &&
    html`<p class="note">${plural(steps.length - mostSteps, 'more step')} of this run are not shown here.</p>`
  }</section>`
}

function row(placed: PlacedStep, times: StepTimes, pictures: Pictures, hasPictures: boolean): Html {
  const { step, durationMs, depth } = placed
  const picture = step.screenshot_artifact_id
    ? pictures.thumbnail(step.screenshot_artifact_id, `${step.position}. ${step.name}`)
    : null
  return html`<tr id="${stepAnchor(step)}" class="${outcomeTone(step)}"><td class="number">${step.position}</td>
<td class="what"><div class="inner d${depth}"><div class="title">${icon(outcomeTone(step))}<div><strong>${step.name}</strong><span class="outcome">${outcomeWord(step)}</span>${
    step.kind !== 'block' && html`<span class="kind">${step.kind}</span>`
  }${step.message && html`<p class="message">${step.message}</p>`}${measureList(step)}${detailList(step)}</div></div></div></td>
<td class="when"><div class="clock"><span class="duration">${durationMs === null ? '–' : showDuration(durationMs)}</span><time datetime="${isoAt(step.started_at)}">${showClock(step.started_at)}</time></div>${bar(placed, times)}</td>${
    hasPictures && html`<td class="shot">${picture}</td>`
  }</tr>
`
}

/** Where in the run the step lies and how much of it it took. */
function bar({ startMs, durationMs }: PlacedStep, { fromMs, toMs }: StepTimes): Html | null {
  const whole = toMs - fromMs
  if (!(whole > 0)) return null
  const left = ((startMs - fromMs) / whole) * 100
  const width = ((durationMs ?? toMs - startMs) / whole) * 100
  const start = Math.min(99, Math.max(0, left))
  return html`<span class="bar" aria-hidden="true"><i style="left:${start.toFixed(2)}%;width:${Math.min(100 - start, Math.max(1, width)).toFixed(2)}%"></i></span>`
}

function measureList(step: RunStep): Content {
  const measures = measuresOf(step)
  if (measures.length === 0) return null
  const more = measures.length - mostMeasuresShown
  return html`<ul class="chips">${measures
    .slice(0, mostMeasuresShown)
    .map(
      ({ name, value, unit }) => html`<li>${name} <b>${showMeasure(value, unit)}</b></li>`,
    )}${more > 0 && html`<li>and ${more} more</li>`}</ul>`
}

/** What a script noted beside its measures, as far as it reads well in one line. */
function detailList(step: RunStep): Content {
  const noted = Object.entries(step.details ?? {}).filter(([key, value]) => key !== 'measures' && value !== null && value !== '')
  if (noted.length === 0) return null
  return html`<dl class="details">${noted.slice(0, 12).map(([key, value]) => html`<div><dt>${key}</dt><dd>${detailText(value)}</dd></div>`)}</dl>`
}

function detailText(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '')
  return text.length > longestDetail ? `${text.slice(0, longestDetail)}…` : text
}
