/** Text that a database can store: no NUL, no half surrogate pairs, not longer than the contract allows. */
export const cleanText = (text: string, maxLength: number): string =>
  text.slice(0, maxLength).toWellFormed().replaceAll('\0', '\uFFFD')

const deepest = 20
const largestDetailsBytes = 64 * 1024

/** Details of a step from a script, made storable; what is too large is replaced, because a step must always arrive. */
export function cleanDetails(details: Record<string, unknown>): Record<string, unknown> {
  const cleaned = cleanValue(details, 0) as Record<string, unknown>
  const bytes = Buffer.byteLength(JSON.stringify(cleaned))
  return bytes <= largestDetailsBytes
    ? cleaned
    : { note: `Details of ${bytes} bytes were dropped: at most ${largestDetailsBytes} are kept.` }
}

function cleanValue(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return cleanText(value, largestDetailsBytes)
  if (typeof value !== 'object' || value === null) return value
  if (depth >= deepest) return null
  if (Array.isArray(value)) return value.map((one) => cleanValue(one, depth + 1))
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [cleanText(key, 200), cleanValue(one, depth + 1)]))
}
