import type { RawBuilder } from 'kysely'
import { inTransaction } from '../db/database.ts'
import { rowsOf } from '../db/query.ts'
import { holdTerm } from './leader.ts'
import type { JobContext } from './runner.ts'

/**
 * Repeats a statement that deletes at most `batch` rows and returns one for each, until there are fewer: short transactions,
 * each of which holds the term. Returns how many went.
 */
export async function deleteInBatches(
  { db, term, signal }: Pick<JobContext, 'db' | 'term' | 'signal'>,
  statement: RawBuilder<unknown>,
  batch: number,
): Promise<number> {
  let total = 0
  for (;;) {
    const deleted = await inTransaction(db, async (tx) => {
      if (signal.aborted || !(await holdTerm(tx, term))) return 0
      return (await rowsOf(tx, statement)).length
    })
    total += deleted
    if (deleted < batch) return total
  }
}
