import { randomUUID } from 'node:crypto'
import type { CommandResult } from '../../drivers/driver.ts'
import { artifactName } from './collect-files.ts'
import type { LiveRun } from './live-run.ts'

const fields = { source: 'sourceUrl', reference: 'referenceUrl', overlay: 'overlayUrl' } as const
/** A script that checks in a loop for hours must not fill the disk; its last verdicts still have their screenshots. */
const mostPictures = 300
const counts = new WeakMap<LiveRun, number>()

/**
 * What a check looked at goes with the run, because the host keeps its own copies for minutes only. The step that is open
 * tells which picture belongs to which check. A picture that cannot be kept changes no verdict.
 */
export async function keepEvidence(
  run: LiveRun,
  command: string,
  result: CommandResult,
  readPicture: (url: string) => Promise<Buffer>,
): Promise<CommandResult> {
  const kept: Record<string, string> = {}
  for (const [what, field] of Object.entries(fields)) {
    const url = result[field]
    const count = counts.get(run) ?? 0
    if (typeof url !== 'string' || count >= mostPictures) continue
    counts.set(run, count + 1)
    try {
      const data = await readPicture(url)
      const about = { id: randomUUID(), kind: 'screenshot' as const, name: artifactName(`${command}-${what}.jpg`) }
      await run.outbox.addArtifact({ ...about, content_type: 'image/jpeg' }, { data })
      kept[what] = about.id
    } catch (error) {
      run.log.warn({ err: error, command }, 'a picture of a check could not be kept')
    }
  }
  if (Object.keys(kept).length === 0) return result
  run.steps.evidence({ command, success: result.success, ...kept })
  return { ...result, evidence: kept }
}
