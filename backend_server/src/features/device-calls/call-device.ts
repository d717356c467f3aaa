import { type ErrorCode, ErrorType, errorCodes, LabError } from '@virtualpytest/shared'
import { failureStatus, type HostCall, type HostClient, hostAddress } from '../hosts/index.ts'
import type { CallTarget } from './find-target.ts'

export interface DeviceCall {
  method: 'GET' | 'POST'
  /** Begins with /host/; written in the server's own tables, never taken from a request. */
  path: string
  body?: Record<string, unknown>
  timeoutMs: number
}

export interface DeviceAnswer {
  status: number
  body: Record<string, unknown>
}

/** Calls the host of a device in its protocol. A success is returned as it is; every failure is a LabError. */
export async function callDevice(
  { hosts, apiKey }: { hosts: HostClient; apiKey: string | undefined },
  target: CallTarget,
  call: DeviceCall,
): Promise<DeviceAnswer> {
  const { host, device } = target
  const query = { team_id: host.team_id, device_id: device.key }
  const request: HostCall =
    call.method === 'GET'
      ? { method: 'GET', path: call.path, query, timeoutMs: call.timeoutMs }
      : {
          method: 'POST',
          path: call.path,
          query,
          body: {
            ...call.body,
            host_name: host.name,
            device_id: device.key,
            team_id: host.team_id,
            // The fence, not only the lease: an agent refuses the call when the device was given away since it was read here.
            ...(host.agent !== null && device.fence > 0 && { token: device.fence }),
          },
          timeoutMs: call.timeoutMs,
        }
  const answer = await hosts.call(hostAddress(host, apiKey), request)
  if (answer.status >= 200 && answer.status < 300) return { status: answer.status, body: withError(answer.body) }
  throw hostFailure(answer)
}

/** Some calls of original hosts say why they failed in `message` only; the web app reads `error`. */
function withError(body: Record<string, unknown>): Record<string, unknown> {
  const success = body.success ?? true
  if (success !== false || typeof body.error === 'string') return { ...body, success }
  return { ...body, success, error: typeof body.message === 'string' ? body.message : 'The host could not do it.' }
}

/** A failure that the host answered keeps its status, its fields and, where it is one of ours, its code. */
function hostFailure({ status, body }: DeviceAnswer): LabError {
  if (status === 401) {
    // Passed on as it is, the browser would take it for the end of its own session.
    return new LabError('host_error', {
      text: 'The host refused the key of this server: API_KEY differs between them.',
      errorType: 'host_error',
    })
  }
  const type = ErrorType.safeParse(body.errorType)
  // Our own route exists; it is the host that has none for it.
  if (body.code === 'route_not_found') {
    return new LabError('host_error', { text: 'This host does not offer that.', errorType: 'host_error', status })
  }
  return new LabError(isErrorCode(body.code) ? body.code : 'host_error', {
    text: firstText(body.error, body.message) ?? `The host answered ${status}.`,
    errorType: type.success ? type.data : 'host_error',
    status: failureStatus(status),
    extra: withoutEnvelope(body),
  })
}

const isErrorCode = (code: unknown): code is ErrorCode => typeof code === 'string' && Object.hasOwn(errorCodes, code)

const firstText = (...values: unknown[]): string | undefined =>
  values.find((value): value is string => typeof value === 'string' && value !== '')

const withoutEnvelope = ({
  success: _success,
  error: _error,
  message: _message,
  code: _code,
  request_id: _id,
  ...rest
}: Record<string, unknown>): Record<string, unknown> => rest
