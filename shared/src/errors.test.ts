import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ApiError, ErrorType, errorCodes, LabError } from './errors.ts'

test('every error has a status of a failure and a sentence for a person', () => {
  for (const [code, { status, text }] of Object.entries(errorCodes)) {
    assert.match(code, /^[a-z]+(_[a-z]+)*$/)
    assert.ok(status >= 400 && status <= 504, code)
    assert.ok(text.length > 10, code)
  }
})

test('README: the codes of the protocol have the statuses of the protocol', () => {
  const protocol: Record<string, number> = {
    validation_error: 400,
    unauthorized: 401,
    forbidden: 403,
    not_found: 404,
    route_not_found: 404,
    method_not_allowed: 405,
    conflict: 409,
    stale_token: 409,
    payload_too_large: 413,
    device_locked: 423,
    internal: 500,
    not_implemented: 501,
    host_error: 502,
    cache_not_ready: 503,
    database_unavailable: 503,
    grafana_unavailable: 503,
    host_unreachable: 503,
    storage_unavailable: 503,
    host_timeout: 504,
    device_not_found: 404,
    host_not_found: 404,
  }
  const table: Record<string, { status: number }> = errorCodes
  for (const [code, status] of Object.entries(protocol)) assert.equal(table[code]?.status, status, code)
})

test('README: errorType knows the words of the original only', () => {
  assert.deepEqual([...ErrorType.options].sort(), [
    'adb_connection_error',
    'cache_error',
    'device_locked',
    'device_not_found',
    'generic_error',
    'host_error',
    'network_error',
    'server_error',
    'stream_service_error',
  ])
})

test('a LabError takes text and status from the table unless told otherwise, and keeps its cause', () => {
  const plain = new LabError('device_locked')
  assert.deepEqual(
    [plain.message, plain.status, plain.errorType, plain.extra],
    [errorCodes.device_locked.text, 423, undefined, {}],
  )
  const cause = new Error('why')
  const precise = new LabError('host_not_found', {
    text: 'Host "a" not found',
    status: 400,
    errorType: 'device_not_found',
    extra: { a: 1 },
    cause,
  })
  assert.deepEqual(
    [precise.message, precise.status, precise.errorType, precise.extra, precise.cause],
    ['Host "a" not found', 400, 'device_not_found', { a: 1 }, cause],
  )
})

test('the envelope is strict about its own fields and open for documented extras', () => {
  const envelope = { success: false, error: 'a', message: 'a', code: 'not_found', request_id: 'x' }
  assert.ok(ApiError.safeParse({ ...envelope, locked_by: 'ann', errorType: 'device_locked' }).success)
  for (const field of Object.keys(envelope)) assert.ok(!ApiError.safeParse({ ...envelope, [field]: undefined }).success, field)
  assert.ok(!ApiError.safeParse({ ...envelope, success: true }).success)
  assert.ok(!ApiError.safeParse({ ...envelope, errorType: 'new_word' }).success)
})
