const schemes = new Set(['http:', 'https:', 'about:', 'data:'])

/**
 * The address to open, or null for one that is refused. Files and the browser's own pages are refused: a tester may use
 * the browser, not read the disk of the host through it.
 */
export function readAddress(text: string): string | null {
  const trimmed = text.trim()
  if (trimmed === '') return null
  const hasScheme = /^[a-z][a-z\d+.-]*:(?!\d)/i.test(trimmed)
  const isNear = /^(localhost|\d{1,3}(\.\d{1,3}){3}|\[[\da-f:]+\])(:\d+)?(\/|$)/i.test(trimmed)
  const full = hasScheme ? trimmed : `${isNear ? 'http' : 'https'}://${trimmed}`
  const address = URL.parse(full)
  if (!address || !schemes.has(address.protocol)) return null
  if (address.protocol === 'about:' && address.pathname !== 'blank') return null
  return address.href
}
