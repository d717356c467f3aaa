import type { Run, RunStep } from '@virtualpytest/shared'
import { note, paint, plain, say } from '../terminal.ts'
import { showDuration } from '../units.ts'
import type { RunListener } from './follow-run.ts'
import { createLiveLine } from './live-line.ts'
import { deviceName, stepLines } from './show-run.ts'

export interface RunScreen extends RunListener {
  close(): void
}

/** The run as a person follows it: each finished step as a line, log lines between them, and the present on the last line. */
export function liveScreen(): RunScreen {
  const screen = createLiveLine(process.stdout)
  const open = new Map<number, RunStep>()
  const finished = new Set<number>()
  let state = ''
  let hasLines = false

  function addLine(text: string): void {
    hasLines = true
    screen.line(text)
  }
  function showPresent(): void {
    const step = [...open.values()].at(-1)
    if (!step) screen.present(state === '' ? undefined : () => `… ${state}`)
    else screen.present(() => `… ${plain(step.name)}  ${showDuration(Date.now() - Date.parse(step.started_at))}`)
  }

  return {
    onRun(run) {
      const text = stateOf(run)
      if (text !== state && text !== '' && !process.stdout.isTTY) addLine(paint('dim', `… ${text}`))
      state = text
      showPresent()
    },
    onStep(step) {
      if (step.outcome) {
        open.delete(step.position)
        if (finished.has(step.position)) return
        finished.add(step.position)
        for (const line of stepLines(step, open.size)) addLine(line)
      } else open.set(step.position, step)
      showPresent()
    },
    onLines(lines) {
      for (const line of lines) addLine(paint('dim', `  │ ${plain(line)}`))
    },
    onTrouble(text) {
      screen.present(undefined)
      note(paint('yellow', text, process.stderr))
      showPresent()
    },
    close() {
      // The verdict that follows stands apart.
      if (hasLines) screen.line('')
      hasLines = false
      screen.close()
    },
  }
}

function stateOf(run: Run): string {
  if (run.cancel_requested && run.finished_at === null) return 'cancelling'
  switch (run.status) {
    case 'queued': {
      const place =
        run.queue_position === null ? '' : run.queue_position === 1 ? ', next in line' : `, number ${run.queue_position} in line`
      return `waiting for ${deviceName(run)}${place}`
    }
    case 'assigned':
      return `starting on ${deviceName(run)}`
    case 'running':
      return `running on ${deviceName(run)}`
    default:
      return ''
  }
}

/** Nothing but trouble: the caller prints the end. */
export function quietScreen(): RunScreen {
  return {
    onRun: () => undefined,
    onStep: () => undefined,
    onLines: () => undefined,
    onTrouble: (text) => note(text),
    close: () => undefined,
  }
}

/** The same as JSON, one object a line, for programs. */
export function jsonScreen(): RunScreen {
  const write = (value: object): void => say(JSON.stringify(value))
  return {
    onRun: (run) => write({ type: 'run', run }),
    onStep: (step) => write({ type: 'step', step }),
    onLines: (lines, from) => write({ type: 'log', from, lines }),
    onTrouble: (text) => note(text),
    close: () => undefined,
  }
}

/** Only the log, as the script wrote it. */
export function logScreen(write: (lines: readonly string[]) => void): RunScreen {
  return { ...quietScreen(), onLines: write }
}
