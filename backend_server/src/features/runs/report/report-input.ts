import type { Artifact, Run, RunStep } from '@virtualpytest/shared'

export interface ReportInput {
  run: Run
  steps: readonly RunStep[]
  /** The last lines of the log; `logLines` is the number of all. */
  logTail: readonly string[]
  logLines: number
  /** Screenshots as data URIs, by the id of their artifact. A picture that is missing here becomes a link. */
  pictures: ReadonlyMap<string, string>
  artifacts: readonly ReportArtifact[]
}
export type ReportArtifact = Pick<Artifact, 'id' | 'kind' | 'name' | 'content_type' | 'size_bytes' | 'run_id'>

export const artifactLink = (runId: string, artifactId: string): string =>
  `/server/runs/${encodeURIComponent(runId)}/artifacts/${encodeURIComponent(artifactId)}`
export const reportLink = (runId: string): string => `/server/runs/${encodeURIComponent(runId)}/report`
