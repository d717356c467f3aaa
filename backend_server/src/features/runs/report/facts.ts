import type { Run } from '@virtualpytest/shared'
import { type Content, type Html, html } from './html.ts'
import { reportLink } from './report-input.ts'
import type { StepTimes } from './step-times.ts'
import { isoAt, plural, showClock, showDate, showDuration } from './units.ts'

/** What ran where, when, for whom, and how the time was spent. */
export function facts(run: Run, times: StepTimes): Html {
  const rows: [string, Content][] = [
    ['Script', html`<code>${run.name}</code>`],
    ['Parameters', run.parameters.trim() === '' ? html`<span class="none">none</span>` : html`<code>${run.parameters}</code>`],
    [
      'Device',
      html`${run.device_name || run.device_id} ${run.device_model && html`<span class="aside">${run.device_model}</span>`}<br><code class="soft">${run.host_name}:${run.device_id}</code>`,
    ],
    [
      'Started by',
      html`${run.requested_by || html`<span class="none">not known</span>`} <span class="aside">${run.source}</span>`,
    ],
    ['Attempt', attempt(run)],
    ['Steps', times.steps.length > 0 ? plural(times.steps.length, 'step') : html`<span class="none">none</span>`],
  ]
  return html`<section class="card facts" aria-label="Facts"><dl>${rows.map(
    ([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`,
  )}</dl>${timeline(run)}</section>`
}

function attempt(run: Run): Content {
  const earlier = run.retry_of && html` <a href="${reportLink(run.retry_of)}">report of the attempt before</a>`
  const left =
    run.retries_left > 0 &&
    html` <span class="aside">${run.retries_left} ${run.retries_left === 1 ? 'retry' : 'retries'} left</span>`
  return html`${run.attempt}${earlier}${left}`
}

/** The life of the run as one bar: waiting for the device, starting, running. */
function timeline(run: Run): Html {
  const at = (time: string | null): number | null => (time === null ? null : Date.parse(time))
  const queued = Date.parse(run.queued_at)
  const end = at(run.finished_at)
  const assigned = at(run.assigned_at)
  const started = at(run.started_at)
  const phases = [
    { name: 'waited for the device', tone: 'waiting', from: queued, to: assigned ?? end },
    { name: 'starting', tone: 'starting', from: assigned, to: started ?? end },
    { name: 'running', tone: 'running', from: started, to: end },
  ].flatMap(({ from, to, ...phase }) => (from !== null && to !== null && to > from ? [{ ...phase, ms: to - from }] : []))
  const whole = phases.reduce((sum, { ms }) => sum + ms, 0)
  const moments = [
    ['queued', run.queued_at],
    ['started', run.started_at],
    ['ended', run.finished_at],
  ] as const
  return html`<div class="timeline">${
    whole > 0 &&
    html`<div class="phases" aria-hidden="true">${phases.map(({ tone, ms }) => html`<i class="${tone}" style="flex-grow:${Math.max(ms / whole, 0.004).toFixed(4)}"></i>`)}</div>`
  }
<ul class="legend">${phases.map(({ name, tone, ms }) => html`<li><i class="${tone}"></i>${name} <b>${showDuration(ms)}</b></li>`)}</ul>
<dl class="moments">${moments.map(
    ([name, time]) =>
      html`<div><dt>${name}</dt><dd>${time === null ? html`<span class="none">never</span>` : html`<time datetime="${isoAt(time)}"><b>${showClock(time)}</b><br>${showDate(time)}</time>`}</dd></div>`,
  )}</dl></div>`
}
