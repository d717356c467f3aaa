import { type Html, html } from './html.ts'
import { artifactLink, type ReportArtifact } from './report-input.ts'
import { plural, showBytes } from './units.ts'

const order: ReportArtifact['kind'][] = ['log', 'file', 'video', 'screenshot', 'report']
const mostFiles = 500

/** Everything the run left behind, in its original form. */
export function filesSection(runId: string, artifacts: readonly ReportArtifact[]): Html | null {
  if (artifacts.length === 0) return null
  const sorted = artifacts.toSorted((one, other) => order.indexOf(one.kind) - order.indexOf(other.kind))
  return html`<section aria-labelledby="files"><div class="heading"><h2 id="files">Files</h2><p>${plural(artifacts.length, 'file')}, ${showBytes(artifacts.reduce((sum, one) => sum + (one.size_bytes ?? 0), 0))}</p></div>
<ul class="card flush files">${sorted.slice(0, mostFiles).map(
    ({ id, name, kind, content_type, size_bytes }) =>
      html`<li><a href="${artifactLink(runId, id)}">${name}</a><span>${kind}</span><span>${content_type.split(';', 1)[0]}</span><span class="size">${size_bytes === null ? '–' : showBytes(size_bytes)}</span></li>
`,
  )}</ul>${artifacts.length > mostFiles && html`<p class="note">${plural(artifacts.length - mostFiles, 'more file')} of this run are not shown here.</p>`}</section>`
}
