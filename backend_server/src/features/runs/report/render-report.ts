import { facts } from './facts.ts'
import { failureSection } from './failure-section.ts'
import { filesSection } from './files-section.ts'
import { html, htmlText, trustedHtml } from './html.ts'
import { logSection } from './log-section.ts'
import { measuresSection } from './measures.ts'
import { pageStyle } from './page-style.ts'
import { createPictures, picturesSection } from './pictures.ts'
import { artifactLink, type ReportArtifact, type ReportInput } from './report-input.ts'
import { placeSteps } from './step-times.ts'
import { stepsSection } from './steps-section.ts'
import { isoAt, showClock, showDate, showDuration } from './units.ts'
import { icon, verdictOf } from './verdict.ts'

export type { ReportArtifact, ReportInput } from './report-input.ts'

const styleElement = trustedHtml(`<style>${pageStyle}</style>`)
const dots = { passed: '16804a', failed: 'c62828', error: 'b35309', cancelled: '667085', open: '667085' }

/**
 * The report of one run as a page that needs nothing else: no script, no font, no request. It can be opened from a disk,
 * mailed, printed, and read on a phone. The verdict comes first and, where there is one, the error before everything else.
 */
export function renderReport(input: ReportInput): string {
  const { run } = input
  const verdict = verdictOf(run.status)
  const times = placeSteps(input.steps, run.finished_at)
  const pictures = createPictures(input)
  const log = input.artifacts.find((artifact) => artifact.kind === 'log') ?? logOf(run)
  const files = log && !input.artifacts.includes(log) ? [log, ...input.artifacts] : input.artifacts
  const device = run.device_name || run.device_id
  const favicon = `data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 8 8'%3E%3Ccircle cx='4' cy='4' r='4' fill='%23${dots[verdict.tone]}'/%3E%3C/svg%3E`
  const page = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<meta name="referrer" content="no-referrer">
<title>${verdict.word}: ${run.name} on ${device}</title>
<link rel="icon" href="${favicon}">
${styleElement}
</head><body class="${verdict.tone}">
<header><div class="page">
<p class="brand"><b>VirtualPyTest</b> run report</p>
<div class="verdict">${icon(verdict.tone)}<div><p class="word">${verdict.word}</p><h1>${run.name}</h1><p class="on">on <b>${device}</b> <span class="address">${run.host_name}:${run.device_id}</span></p></div>
<div class="took">${
    run.duration_ms === null
      ? html`<b>–</b><span>never started</span>`
      : html`<b>${showDuration(run.duration_ms)}</b><span>duration</span>`
  }</div></div>
</div></header>
<main class="page">
${failureSection(run, verdict, times, pictures, input.logTail)}
${facts(run, times)}
${measuresSection(input.steps)}
${stepsSection(times, pictures)}
${picturesSection(pictures)}
${logSection(input.logTail, input.logLines, { isOpen: run.status !== 'passed', logLink: log ? artifactLink(run.id, log.id) : null })}
${filesSection(run.id, files)}
</main>
<footer class="page"><p>Run <code>${run.id}</code>${
    run.finished_at &&
    html` · ended <time datetime="${isoAt(run.finished_at)}">${showDate(run.finished_at)} ${showClock(run.finished_at)}</time>`
  } · all times are UTC</p></footer>
</body></html>
`
  return htmlText(page)
}

/** The log is stored while the report is made, so it may be known by its address alone. Addresses elsewhere are not ours to link. */
function logOf(run: ReportInput['run']): ReportArtifact | undefined {
  const [, runId, id] = /^\/server\/runs\/([0-9a-f-]{36})\/artifacts\/([0-9a-f-]{36})$/.exec(run.logs_url ?? '') ?? []
  if (id === undefined || runId !== run.id) return undefined
  return { id, kind: 'log', name: 'run.log', content_type: 'text/plain', size_bytes: null, run_id: run.id }
}
