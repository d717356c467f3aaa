import { lookup } from 'node:dns'
import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { BlockList, isIP, type LookupFunction } from 'node:net'
import { type CommandResult, defineCommand } from '../../drivers/driver.ts'
import type { Block } from './block.ts'

const longestAnswer = 256 * 1024
const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const

/** This machine itself, and addresses that mean a cloud's keeper of credentials: never what a test wants to ask. */
const forbidden = new BlockList()
forbidden.addSubnet('127.0.0.0', 8)
forbidden.addSubnet('0.0.0.0', 8)
forbidden.addSubnet('169.254.0.0', 16)
forbidden.addAddress('::1', 'ipv6')
forbidden.addAddress('::', 'ipv6')
forbidden.addSubnet('fe80::', 10, 'ipv6')

function assertAllowed(address: string): void {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? address
  if (forbidden.check(mapped, isIP(mapped) === 6 ? 'ipv6' : 'ipv4')) {
    throw new Error('The host calls neither itself nor link-local addresses')
  }
}

/** Checks the very address that is connected to: a name that is asked twice may have two answers. */
const checkedLookup: LookupFunction = (name, options, done) => {
  lookup(name, { ...options, all: true }, (error, found) => {
    if (error) return done(error, '', 0)
    try {
      for (const { address } of found) assertAllowed(address)
    } catch (refusal) {
      return done(refusal as NodeJS.ErrnoException, '', 0)
    }
    const [first] = found
    if (!first) return done(new Error('The name has no address'), '', 0)
    if (options.all) done(null, found)
    else done(null, first.address, first.family)
  })
}

interface Call {
  url: URL
  method: string
  headers: Record<string, string>
  body: string | undefined
  timeoutMs: number
}

function send({ url, method, headers, body, timeoutMs }: Call, signal: AbortSignal): Promise<{ status: number; text: string }> {
  if (isIP(url.hostname.replace(/^\[|\]$/g, ''))) assertAllowed(url.hostname.replace(/^\[|\]$/g, ''))
  const request = url.protocol === 'https:' ? httpsRequest : httpRequest
  return new Promise((resolve, reject) => {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
    const call = request(url, { method, headers, lookup: checkedLookup, signal: limit }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        text += chunk
        if (text.length > longestAnswer) response.destroy(new Error('The answer is longer than 256 kB'))
      })
      response.once('end', () => resolve({ status: response.statusCode ?? 0, text }))
      response.once('error', reject)
    })
    call.once('error', reject)
    call.end(body)
  })
}

function headersOf(given: unknown): Record<string, string> {
  if (given === null || given === '') return {}
  if (typeof given !== 'object' || Array.isArray(given)) throw new Error('headers must be an object')
  return Object.fromEntries(Object.entries(given).map(([name, value]) => [name.toLowerCase(), String(value)]))
}

/** Redirects are not followed: they would lead a call where its author did not mean it to go. */
export const apiCallBlock = defineCommand({
  name: 'api_call',
  label: 'HTTP call',
  description: 'Calls an address; passes when the answer is below 400, or has the expected status',
  offer: null,
  params: {
    url: { type: 'string', required: true, default: '', description: 'Address', placeholder: 'http://192.168.1.20/status' },
    method: { type: 'enum', required: false, default: 'GET', choices: methods, description: 'Method' },
    headers: { type: 'object', required: false, default: null, description: 'Headers' },
    body: { type: 'object', required: false, default: null, description: 'What is sent, as JSON unless it is a text' },
    expected_status: { type: 'number', required: false, default: null, min: 100, max: 599, description: 'Status that passes' },
    timeout: { type: 'number', required: false, default: 10, min: 0.1, max: 60, description: 'Seconds' },
  },
  outputs: [
    { name: 'status', type: 'number' },
    { name: 'response', type: 'object' },
  ],
  run: async (_block: Block, values, signal): Promise<CommandResult> => {
    const url = URL.parse(values.url)
    if (!url || !['http:', 'https:'].includes(url.protocol)) throw new Error('url must be an http or https address')
    const body = values.body === null ? undefined : typeof values.body === 'string' ? values.body : JSON.stringify(values.body)
    const headers = headersOf(values.headers)
    if (body !== undefined && typeof values.body !== 'string') headers['content-type'] ??= 'application/json'
    const answer = await send({ url, method: values.method, headers, body, timeoutMs: values.timeout * 1000 }, signal)
    const success = values.expected_status === null ? answer.status < 400 : answer.status === values.expected_status
    return {
      success,
      message: `${values.method} ${url.origin}${url.pathname} answered ${answer.status}`,
      output_data: { status: answer.status, response: asJson(answer.text) },
    }
  },
})

function asJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return text
  }
}
