import type { Variable } from '../../src/features/dashboards/json/index.ts'

/*
 * What happens to the text of a query before the database sees it: the page puts in the values of variables, the PostgreSQL
 * data source expands its macros. Both are rules of Grafana, written down here from its documentation.
 */

export interface TimeRange {
  from: Date
  to: Date
}

/** `${name:sqlstring}`: chosen values in single quotes, doubled inside, joined by commas. "All" with a value of its own goes in as it is. */
export function putVariables(text: string, variables: readonly Variable[], chosen: Record<string, string[]> = {}): string {
  return text.replace(/\$\{(\w+)(?::(\w+))?\}/g, (whole, name: string, format: string | undefined) => {
    const variable = variables.find((one) => one.name === name)
    if (!variable) return whole
    const values = chosen[name]
    if (!values) return variable.allValue
    if (format !== 'sqlstring') throw new Error(`${whole} does not quote its values`)
    return values.map((value) => `'${value.replaceAll("'", "''")}'`).join(',')
  })
}

export function expandMacros(text: string, range: TimeRange): string {
  const quoted = (time: Date): string => `'${time.toISOString()}'`
  return text.replace(/\$([_a-zA-Z0-9]+)\(([^)]*)\)/g, (_whole, name: string, args: string) => {
    if (name === '__timeFrom') return quoted(range.from)
    if (name === '__timeTo') return quoted(range.to)
    if (name === '__timeFilter') return `${args.trim()} BETWEEN ${quoted(range.from)} AND ${quoted(range.to)}`
    throw new Error(`unknown macro "${name}"`)
  })
}
