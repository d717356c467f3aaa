import type { Run, RunErrorCode, RunStatus } from '@virtualpytest/shared'
import { type Html, html } from './html.ts'

export interface Verdict {
  /** Also the name of its color in the style sheet. */
  tone: 'passed' | 'failed' | 'error' | 'cancelled' | 'open'
  word: string
  /** One sentence that says what the word means for the reader. */
  meaning: string
}

const verdicts: Partial<Record<RunStatus, Verdict>> = {
  passed: { tone: 'passed', word: 'Passed', meaning: 'The script ran to its end and everything it checked was as expected.' },
  failed: { tone: 'failed', word: 'Failed', meaning: 'The script ran, and something it checked was not as expected.' },
  error: {
    tone: 'error',
    word: 'Error',
    meaning: 'The run broke off before there was a verdict. This says nothing about the product under test.',
  },
  cancelled: { tone: 'cancelled', word: 'Cancelled', meaning: 'Somebody ended the run before there was a verdict.' },
}

export const verdictOf = (status: RunStatus): Verdict =>
  verdicts[status] ?? { tone: 'open', word: 'Not finished', meaning: 'The run had not ended when this report was written.' }

/** What a person can make of the codes of shared/src/runs/run.states.ts: what happened, and what to look at. */
const explanations: Record<RunErrorCode, string> = {
  queue_timeout: 'The device did not become free in time. Look at who holds it, or allow a longer wait.',
  host_lost:
    'The host stopped reporting while the run was open: it lost power, its network or its agent. Check the machine, then run again.',
  host_restarted: 'The host agent started anew while the run was open and no longer knows about it. Run again.',
  host_stopping: 'The host agent was stopped by its operator while the run was open. Run again when the host is back.',
  lease_lost: 'The device was given to somebody else, or the right to use it ran out while the host could not be reached.',
  deadline:
    'The script was still running at its deadline and was killed. Look at the last step and the end of the log, or allow more time.',
  dispatch_failed:
    'The server could not hand the run to its host. Check that the host is online and can be reached from the server.',
  script_start_failed:
    'The host could not start the script. Its interpreter may be missing there, or the file is not executable.',
  script_not_found: 'The host has no script of this name.',
  host_error: 'Something on the host went wrong outside of the script.',
}

export const explainCode = (code: string): string | undefined =>
  Object.hasOwn(explanations, code) ? explanations[code as RunErrorCode] : undefined

const failureClasses: Partial<Record<NonNullable<Run['failure_class']>, string>> = {
  product: 'product under test',
  test: 'test script',
  device: 'device',
  infrastructure: 'lab infrastructure',
}
export const showFailureClass = (failureClass: Run['failure_class']): string | null =>
  failureClass ? (failureClasses[failureClass] ?? null) : null

const shapes: Record<Verdict['tone'] | 'skipped', Html> = {
  passed: html`<path d="M7 12.5l3.4 3.4L17.2 9"/>`,
  failed: html`<path d="M8 8l8 8M16 8l-8 8"/>`,
  error: html`<path d="M12 6.5v7M12 17.2v.1"/>`,
  cancelled: html`<path d="M7 12h10"/>`,
  open: html`<path d="M12 7v5l3.2 2"/>`,
  skipped: html`<path d="M8 7.5l4.5 4.5L8 16.5M15.5 7.5v9"/>`,
}

/** A mark that reads without color, too. */
export const icon = (tone: keyof typeof shapes): Html =>
  html`<svg class="icon ${tone}" viewBox="0 0 24 24" aria-hidden="true"><circle cx="12" cy="12" r="11"/>${shapes[tone]}</svg>`
