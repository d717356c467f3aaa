export const apps = [
  { id: 'streamly', package: 'demo.streamly', label: 'Streamly', hint: 'Films and series', color: '#e11d48', second: '#4c0519' },
  {
    id: 'tunewave',
    package: 'demo.tunewave',
    label: 'Tunewave',
    hint: 'Music and podcasts',
    color: '#22c55e',
    second: '#052e16',
  },
  { id: 'galleria', package: 'demo.galleria', label: 'Galleria', hint: 'Your photos', color: '#f59e0b', second: '#451a03' },
] as const

export type App = (typeof apps)[number]

/** By package, id or label: scripts name an app as they see it. */
export function findApp(name: string): App | null {
  const wanted = name.toLowerCase()
  return apps.find((app) => [app.id, app.package, app.label.toLowerCase()].includes(wanted)) ?? null
}
