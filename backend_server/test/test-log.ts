import { appendFileSync } from 'node:fs'
import { pino } from 'pino'

/*
 * What the servers of a test log. The test runner keeps it in a file and shows its last lines when the test file has failed;
 * TEST_LOG=debug prints it at once.
 */

const file = process.env.VPT_TEST_LOG_FILE

function openLog() {
  if (process.env.TEST_LOG) return pino({ level: process.env.TEST_LOG })
  if (!file) return pino({ level: 'silent' })
  return pino({ level: 'info', base: undefined }, { write: appendTestLog })
}

/** Of servers that are processes of their own. */
export function appendTestLog(line: string): void {
  if (file) appendFileSync(file, line)
}

export const testLog = openLog()
