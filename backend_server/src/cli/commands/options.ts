import { InvalidArgumentError } from 'commander'

/** A whole number in a range, for commander. */
export const wholeNumber =
  (from: number, to: number) =>
  (text: string): number => {
    const value = Number(text)
    if (!/^\d+$/.test(text) || value < from || value > to)
      throw new InvalidArgumentError(`It must be a whole number from ${from} to ${to}.`)
    return value
  }

/** Host and device, as in `demo-host:device1`. The device id is what follows the last colon. */
export function deviceAddress(text: string): { host_name: string; device_id: string } {
  const at = text.lastIndexOf(':')
  if (at < 1 || at === text.length - 1)
    throw new InvalidArgumentError('It must look like HOST:DEVICE, for example demo-host:device1.')
  return { host_name: text.slice(0, at), device_id: text.slice(at + 1) }
}

export const examples = (...lines: string[]): string => `\nExamples:\n${lines.map((line) => `  ${line}`).join('\n')}\n`

export const patienceMs = 120_000
