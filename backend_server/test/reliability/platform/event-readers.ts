import { get } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import type { LabEvent } from '@virtualpytest/shared'
import { io } from 'socket.io-client'

/*
 * Clients of the event stream that resume after every cut with the last number they have, as the contract tells them to.
 */

export interface EventReader {
  name: string
  /** Numbers in the order of their arrival. */
  seqs: number[]
  connections: number
  /** What was answered instead of a stream. */
  refusals: string[]
  stop: () => void
}

export function readByStream(name: string, url: () => string, after: number): EventReader {
  const stopping = new AbortController()
  const reader: EventReader = { name, seqs: [], connections: 0, refusals: [], stop: () => stopping.abort() }
  const once = (): Promise<void> =>
    new Promise((resolve) => {
      const last = reader.seqs.at(-1) ?? after
      const request = get(
        `${url()}/server/events?rooms=team&after=${after}`,
        { agent: false, headers: { 'last-event-id': String(last) }, signal: stopping.signal },
        (response) => {
          if (response.statusCode === 200) reader.connections += 1
          else reader.refusals.push(`${response.statusCode}`)
          let rest = ''
          response.setEncoding('utf8')
          response.on('data', (text: string) => {
            const blocks = (rest + text).split('\n\n')
            rest = blocks.pop() ?? ''
            for (const block of blocks) {
              const id = /^id: ?(\d+)$/m.exec(block)?.[1]
              if (id !== undefined) reader.seqs.push(Number(id))
            }
          })
          response.on('error', () => {})
          response.once('close', resolve)
        },
      )
      request.on('error', (error) => {
        if (!stopping.signal.aborted) reader.refusals.push(error.message)
        resolve()
      })
    })
  async function readOn(): Promise<void> {
    while (!stopping.signal.aborted) {
      await once()
      await pause(50)
    }
  }
  readOn().catch((error: unknown) => void reader.refusals.push(String(error)))
  return reader
}

export function readBySocket(name: string, url: string, after: number): EventReader {
  const client = io(url, {
    path: '/server/socket.io',
    transports: ['websocket'],
    reconnectionDelay: 50,
    reconnectionDelayMax: 200,
    forceNew: true,
  })
  const reader: EventReader = { name, seqs: [], connections: 0, refusals: [], stop: () => void client.disconnect() }
  client.on('event', (event: LabEvent) => void reader.seqs.push(event.seq))
  client.on('connect_error', (error) => void reader.refusals.push(error.message))
  client.on('connect', () => {
    reader.connections += 1
    client.emit('subscribe', { rooms: ['team'], after: reader.seqs.at(-1) ?? after }, (answer: { success: boolean }) => {
      if (!answer.success) reader.refusals.push(JSON.stringify(answer))
    })
  })
  // A server that stops closes the socket itself, after which Socket.IO's client waits to be told.
  client.on('disconnect', (reason) => {
    if (reason === 'io server disconnect') client.connect()
  })
  return reader
}
