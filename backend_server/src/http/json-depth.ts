import { LabError } from '@virtualpytest/shared'

/** Far beyond every body of the contract; deeper ones end the stack of whatever walks through them. */
const deepest = 500

const quote = 34
const backslash = 92

/** Refuses JSON text that is nested deeper than any honest body, without parsing it. */
export function assertNotTooDeep(text: string): void {
  let depth = 0
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code === quote) at = endOfString(text, at + 1)
    else if (code === 91 || code === 123) {
      depth += 1
      if (depth > deepest) throw new LabError('validation_error', { text: `The body is nested deeper than ${deepest} levels.` })
    } else if (code === 93 || code === 125) depth -= 1
  }
}

/** Position of the closing quote; the end of the text when there is none. */
function endOfString(text: string, from: number): number {
  let at = from
  for (; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code === backslash) at += 1
    else if (code === quote) return at
  }
  return at
}
