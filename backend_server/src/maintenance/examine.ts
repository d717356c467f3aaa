import type { MaintenanceContext } from './backups.ts'
import { examineBackups } from './examine-backups.ts'
import { examineDatabase } from './examine-database.ts'
import { examineMachine } from './examine-machine.ts'
import { examinePorts } from './examine-ports.ts'
import type { Finding } from './finding.ts'

/** What can be said of a server from its own machine, without the server. Nothing is changed. */
export async function examine(context: MaintenanceContext): Promise<{ findings: Finding[] }> {
  const { config } = context
  const parts = await Promise.all([
    examineMachine(config),
    examinePorts(config),
    examineDatabase(config, context.log),
    examineBackups(config),
  ])
  return { findings: parts.flat() }
}
