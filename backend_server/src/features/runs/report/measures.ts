import type { RunStep } from '@virtualpytest/shared'
import { type Html, html } from './html.ts'
import { plural, showMeasure } from './units.ts'

export interface Measure {
  name: string
  value: number
  unit: string
}

/** Measures of a step. Details come from scripts, so everything else in them is passed over. */
export function measuresOf(step: RunStep): Measure[] {
  const listed: unknown = step.details?.measures
  if (!Array.isArray(listed)) return []
  return listed.flatMap((one: unknown) => {
    if (typeof one !== 'object' || one === null) return []
    const { name, value, unit } = one as Record<string, unknown>
    if (typeof name !== 'string' || typeof value !== 'number' || !Number.isFinite(value)) return []
    return [{ name, value, unit: typeof unit === 'string' ? unit : '' }]
  })
}

interface Series {
  name: string
  unit: string
  points: { value: number; position: number }[]
}

/** One card for each name that was measured more than once; single values stand beside their step. */
export function measuresSection(steps: readonly RunStep[]): Html | null {
  const series = new Map<string, Series>()
  for (const step of steps) {
    for (const { name, unit, value } of measuresOf(step)) {
      const key = JSON.stringify([name, unit])
      const known = series.get(key) ?? { name, unit, points: [] }
      known.points.push({ value, position: step.position })
      series.set(key, known)
    }
  }
  const shown = [...series.values()].filter(({ points }) => points.length > 1).slice(0, 24)
  if (shown.length === 0) return null
  return html`<section aria-labelledby="measures"><h2 id="measures">Measurements</h2><div class="measures">${shown.map(card)}</div></section>`
}

function card({ name, unit, points }: Series): Html {
  const values = points.map(({ value }) => value).toSorted((one, other) => one - other)
  const at = (share: number): number => values[Math.round((values.length - 1) * share)] ?? 0
  const middle = (values.length - 1) / 2
  const median = ((values[Math.floor(middle)] ?? 0) + (values[Math.ceil(middle)] ?? 0)) / 2
  return html`<article class="card measure">
<h3>${name}</h3>
<p class="figure">${showMeasure(median, unit)} <small>median of ${plural(values.length, 'value')}</small></p>
${chart(points, unit)}
<dl><div><dt>min</dt><dd>${showMeasure(at(0), unit)}</dd></div><div><dt>mean</dt><dd>${showMeasure(mean(values), unit)}</dd></div><div><dt>max</dt><dd>${showMeasure(at(1), unit)}</dd></div></dl>
</article>`
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length

/** Bars in the order of measuring, from zero, so that their lengths can be compared. */
function chart(points: Series['points'], unit: string): Html {
  const shown = points.slice(-120)
  const highest = Math.max(...shown.map(({ value }) => Math.abs(value))) || 1
  const slot = 240 / shown.length
  const gap = slot > 4 ? Math.min(4, slot * 0.25) : 0
  return html`<svg class="chart" viewBox="0 0 240 44" preserveAspectRatio="none" role="img" aria-label="${plural(shown.length, 'value')} in order">${shown.map(
    ({ value, position }, index) => {
      const height = Math.max(1, (Math.abs(value) / highest) * 44)
      return html`<rect x="${fixed(index * slot)}" y="${fixed(44 - height)}" width="${fixed(slot - gap)}" height="${fixed(height)}"><title>step ${position}: ${showMeasure(value, unit)}</title></rect>`
    },
  )}</svg>`
}

const fixed = (value: number): string => value.toFixed(2)
