import assert from 'node:assert/strict'
import { test } from 'node:test'
import { errorCodes, LabError } from '@virtualpytest/shared'
import { z } from 'zod'
import { describeIssues, errorBody, toLabError } from './errors.ts'

const failure = (fields: object): Error => Object.assign(new Error('inner text'), fields)

test('anything thrown becomes one of the documented errors', () => {
  const cases: [unknown, string, number][] = [
    [new LabError('device_locked'), 'device_locked', 423],
    [new LabError('host_not_found', { status: 400 }), 'host_not_found', 400],
    [failure({ code: 'FST_ERR_CTP_BODY_TOO_LARGE', statusCode: 413 }), 'payload_too_large', 413],
    [failure({ code: 'FST_ERR_CTP_INVALID_MEDIA_TYPE', statusCode: 415 }), 'unsupported_media_type', 415],
    [failure({ statusCode: 400 }), 'validation_error', 400],
    [failure({ code: '22021' }), 'validation_error', 400],
    [failure({ code: '54001' }), 'validation_error', 400],
    [failure({ code: '23505' }), 'conflict', 409],
    [failure({ code: '42P01' }), 'internal', 500],
    [failure({ code: 'ENOENT' }), 'internal', 500],
    [failure({ statusCode: 503 }), 'internal', 500],
    [failure({ name: 'DatabaseUnavailable' }), 'database_unavailable', 503],
    [new TypeError('x is not a function'), 'internal', 500],
    ['a text', 'internal', 500],
    [{}, 'internal', 500],
  ]
  for (const [thrown, code, status] of cases) {
    const error = toLabError(thrown)
    assert.deepEqual([error.code, error.status], [code, status], String(thrown))
    if (code === 'internal') assert.equal(error.message, errorCodes.internal.text, 'what happened inside stays inside')
  }
})

test('nothing thrown at all is a failure too', () => {
  for (const thrown of [undefined, null, 0, false]) assert.equal(toLabError(thrown).code, 'internal')
})

test('the envelope: one shape, extras beside it, and extras never replace its own fields', () => {
  const error = new LabError('device_locked', { text: 'Ann has it.', errorType: 'device_locked', extra: { locked_by: 'ann' } })
  assert.deepEqual(errorBody(error, 'id-1'), {
    success: false,
    error: 'Ann has it.',
    message: 'Ann has it.',
    code: 'device_locked',
    errorType: 'device_locked',
    request_id: 'id-1',
    locked_by: 'ann',
  })
  const bold = errorBody(
    new LabError('not_found', { extra: { success: true, code: 'x', request_id: 'y', error: 'z', status: 'word' } }),
    'id-2',
  )
  assert.deepEqual(
    [bold.success, bold.code, bold.request_id, bold.error, bold.status],
    [false, 'not_found', 'id-2', errorCodes.not_found.text, 'word'],
  )
})

test('what is missing is told from what is wrong, and values are not repeated', () => {
  const Body = z.object({
    host_name: z.string(),
    devices: z.array(z.object({ device_id: z.string() })),
    port: z.number().optional(),
  })
  const say = (value: unknown): string => {
    const result = Body.safeParse(value)
    return result.success ? 'ok' : describeIssues(result.error.issues, 'body')
  }
  assert.equal(say({}), 'Missing required fields: host_name, devices')
  assert.equal(say({ host_name: 'a', devices: [{}] }), 'Missing required fields: devices.0.device_id')
  assert.match(say({ host_name: 'a', devices: [], port: 'secret-value' }), /^Invalid request: body\.port: /)
  assert.ok(!say({ host_name: 'a', devices: [], port: 'secret-value' }).includes('secret-value'))
  assert.match(say({ port: 'x' }), /^Invalid request: body\.host_name: .*; body\.devices: .*; body\.port: /)
  assert.match(say('text'), /^Invalid request: body: /)
  const many = say({ host_name: 1, devices: Array.from({ length: 50 }, () => ({ device_id: 1 })) })
  assert.ok(many.split(';').length <= 10, 'at most ten of them')
})
