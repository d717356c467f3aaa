import pg from 'pg'
import { type ConnectionLimits, clientConfig } from './connection-url.ts'
import { DatabaseUnavailable } from './errors.ts'

/** One connection outside the pool, for migrations and for looking at the server. Every failure to connect is DatabaseUnavailable. */
export async function connectClient(url: string, limits: ConnectionLimits): Promise<pg.Client> {
  const client = new pg.Client(clientConfig(url, limits))
  // A loss is reported by the statement under way; without a listener the event would end the process.
  client.on('error', () => {})
  try {
    await client.connect()
    return client
  } catch (error) {
    await closeClient(client)
    throw new DatabaseUnavailable(error)
  }
}

export async function closeClient(client: { end(): Promise<void> }): Promise<void> {
  try {
    await client.end()
  } catch {
    // It was lost before.
  }
}

/** The process id that the server, or a pooler in its place, told at login; missing in the driver's published types. */
export function toldProcessId(client: pg.ClientBase): number {
  return 'processID' in client && typeof client.processID === 'number' ? client.processID : -1
}
