import type { MaintenanceContext } from './backups.ts'
import { examineBackups } from './examine-backups.ts'
import { examineDatabase } from './examine-database.ts'
import { examineMachine } from './examine-machine.ts'
import { examinePorts } from './examine-ports.ts'
import { type Finding, fail } from './finding.ts'

/** What can be said of a server from its own machine, without the server. Nothing is changed. */
export async function examine(context: MaintenanceContext): Promise<{ findings: Finding[] }> {
  const { config } = context
  const parts = await Promise.all([
    guarded('machine', examineMachine(config)),
    guarded('ports', examinePorts(config)),
    guarded('database', examineDatabase(config, context.log)),
    guarded('backup', examineBackups(config)),
  ])
  return { findings: parts.flat() }
}

/** A look that fails in a way nobody thought of is a finding, and does not hide the others. */
async function guarded(name: string, findings: Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await findings
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'unknown'
    return [fail(name, `it cannot be looked at: ${reason}`, 'The sentence before says why; the other lines may help.')]
  }
}
