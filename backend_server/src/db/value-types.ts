import pg from 'pg'

/*
 * How column values arrive in rows. Rows are meant to be sent as JSON as they are:
 * - bigint is a number. Our bigint columns (sequence numbers, fencing tokens, sizes) stay far below 2^53; a value beyond it
 *   is an error and never a rounded number. `sum(bigint)` is numeric in SQL and arrives as text, as numeric always does.
 * - timestamptz is ISO 8601 text in UTC with six digits and `Z`, whatever time zone the session has. Six digits because
 *   PostgreSQL keeps microseconds: a value read and sent back as a page mark must compare equal. Times inside JSON built by
 *   SQL (jsonb_build_object and so on) are written by the server and carry the session's offset instead.
 * - date and timestamp are text as PostgreSQL writes them: a Date object would shift them by the zone of this machine.
 */

const oid = { int8: 20, date: 1082, timestamp: 1114, timestamptz: 1184, int8Array: 1016, textArray: 1009, timestamptzArray: 1185 }

export function parseBigint(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value)) throw new RangeError(`bigint ${text} does not fit into a number`)
  return value
}

const timestampForm = /^(\d{4,})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?([+-])(\d\d)(?::(\d\d))?(?::(\d\d))?$/

/** `2026-11-23 17:27:00.5+01` -> `2026-11-23T16:27:00.500000Z`; `infinity` and dates before our era stay as they are. */
export function parseTimestamptz(text: string): string {
  const parts = timestampForm.exec(text)
  if (!parts) return text
  const [, year, month, day, hour, minute, second, fraction = '', sign, offsetHours, offsetMinutes = '0', offsetSeconds = '0'] =
    parts
  const micros = fraction.padEnd(6, '0')
  const offset = (Number(offsetHours) * 3600 + Number(offsetMinutes) * 60 + Number(offsetSeconds)) * (sign === '-' ? -1 : 1)
  if (offset === 0) return `${year}-${month}-${day}T${hour}:${minute}:${second}.${micros}Z`
  const utc = Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second)) - offset * 1000
  return `${new Date(utc).toISOString().slice(0, -5)}.${micros}Z`
}

const asText = (text: string): string => text
const splitArray = pg.types.getTypeParser(oid.textArray, 'text') as (text: string) => (string | null)[]
const eachOf =
  <T>(parse: (text: string) => T) =>
  (text: string): (T | null)[] =>
    splitArray(text).map((one) => (one === null ? null : parse(one)))

const parsers = new Map<number, (text: string) => unknown>([
  [oid.int8, parseBigint],
  [oid.date, asText],
  [oid.timestamp, asText],
  [oid.timestamptz, parseTimestamptz],
  [oid.int8Array, eachOf(parseBigint)],
  [oid.timestamptzArray, eachOf(parseTimestamptz)],
])

/** For `types` of a pg client: ours, then the driver's own. The driver asks for text unless told otherwise. */
export const valueTypes: pg.CustomTypesConfig = {
  getTypeParser: (id: number, format?: 'text' | 'binary') =>
    (format === 'binary' ? undefined : parsers.get(id)) ?? pg.types.getTypeParser(id, format),
}
