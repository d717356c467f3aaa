/** Numbers as a person reads them: 840 ms, 3.2 s, 2 min 05 s, 1 h 12 min. */
export function showDuration(ms: number): string {
  if (!Number.isFinite(ms) || ms < 0) return '–'
  if (ms < 999.5) return `${Math.round(ms)} ms`
  if (ms < 9_950) return `${(ms / 1000).toFixed(1)} s`
  const seconds = Math.round(ms / 1000)
  if (seconds < 60) return `${seconds} s`
  const twoDigits = (value: number): string => String(value).padStart(2, '0')
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${twoDigits(seconds % 60)} s`
  const minutes = Math.round(seconds / 60)
  return `${Math.floor(minutes / 60)} h ${twoDigits(minutes % 60)} min`
}

export function showBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`
  for (const [unit, size] of [
    ['GB', 1e9],
    ['MB', 1e6],
  ] as const) {
    if (bytes >= size * 0.9995) return `${(bytes / size).toFixed(1)} ${unit}`
  }
  return `${Math.round(bytes / 1000)} kB`
}

/** A page without scripts cannot know the zone of its reader, so it says UTC. */
export const showDate = (at: string): string => isoAt(at).slice(0, 10)
export const showClock = (at: string): string => isoAt(at).slice(11, 19)

/** ISO 8601 in UTC, or dashes of the same shape where there is no such time. */
export function isoAt(at: string): string {
  const ms = Date.parse(at)
  return Number.isNaN(ms) ? '----------T--:--:--.---Z' : new Date(ms).toISOString()
}

/** At most three figures behind the first one that matters: 0.0123, 1.25, 840, 12,345. */
export function showNumber(value: number): string {
  if (!Number.isFinite(value)) return '–'
  const text = Math.abs(value) >= 1e9 || (value !== 0 && Math.abs(value) < 1e-4) ? value.toExponential(2) : undefined
  return (
    text ?? value.toLocaleString('en-US', { maximumFractionDigits: Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 1 ? 2 : 4 })
  )
}

/** Milliseconds read better as durations; every other unit keeps its own. */
export const showMeasure = (value: number, unit: string): string =>
  unit === 'ms' ? showDuration(value) : [showNumber(value), unit].filter(Boolean).join(unit === '%' ? '' : '\u00A0')

export const plural = (count: number, word: string): string => `${count.toLocaleString('en-US')} ${word}${count === 1 ? '' : 's'}`
