import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import type { TestContext } from 'node:test'

/*
 * The way of one container to PostgreSQL, and a witness on it: counts the container's connections, and reads from the wire
 * which statements about leadership it sends, with their values. What a server writes as leader begins with such a statement
 * that names its term.
 */

export interface LeaderStatement {
  at: number
  kind: 'take' | 'write' | 'release'
  /** Of `take` and `release`. */
  holder?: string
  /** Of `write`. */
  term?: number
}

export interface DatabaseTap {
  port: number
  statements: readonly LeaderStatement[]
  connections: () => number
  mostConnections: () => number
}

export async function openDatabaseTap(
  t: Pick<TestContext, 'after'>,
  options: { listenOn: string; database: URL },
): Promise<DatabaseTap> {
  const statements: LeaderStatement[] = []
  const ends = new Set<Socket>()
  let open = 0
  let most = 0
  const server = createServer((near) => {
    const far = connect(Number(options.database.port), options.database.hostname)
    open += 1
    most = Math.max(most, open)
    near.once('close', () => (open -= 1))
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      ends.add(one)
      one.setNoDelay(true)
      one.on('error', () => other.destroy())
      one.on('close', () => {
        ends.delete(one)
        other.destroy()
      })
    }
    readMessages(near, (text, values) => note(statements, text, values))
    near.pipe(far)
    far.pipe(near)
  })
  await new Promise<void>((resolve) => server.listen(0, options.listenOn, resolve))
  t.after(() => {
    for (const end of ends) end.destroy()
    server.close()
  })
  return {
    port: (server.address() as AddressInfo).port,
    statements,
    connections: () => open,
    mostConnections: () => most,
  }
}

function note(statements: LeaderStatement[], text: string, values: string[]): void {
  if (!text.includes('leader_leases')) return
  const at = Date.now()
  if (/insert into leader_leases/.test(text)) statements.push({ at, kind: 'take', holder: values[1] })
  else if (/for share/.test(text)) statements.push({ at, kind: 'write', term: Number(values[1]) })
  else if (/update leader_leases/.test(text)) statements.push({ at, kind: 'release', holder: values[1] })
}

/** Parse and Bind messages of the extended protocol: text of a statement and its values, both of an unnamed statement. */
function readMessages(socket: Socket, onStatement: (text: string, values: string[]) => void): void {
  let rest: Buffer = Buffer.alloc(0)
  let isStarted = false
  let text = ''
  socket.on('data', (part: Buffer) => {
    rest = rest.length === 0 ? part : Buffer.concat([rest, part])
    for (;;) {
      // The first message has no type.
      const head = isStarted ? 1 : 0
      if (rest.length < head + 4) return
      const length = head + rest.readInt32BE(head)
      if (rest.length < length) return
      const type = isStarted ? String.fromCharCode(rest[0] ?? 0) : ''
      const body = rest.subarray(head + 4, length)
      isStarted = true
      if (type === 'P') text = readParse(body)
      else if (type === 'B') onStatement(text, readBind(body))
      rest = rest.subarray(length)
    }
  })
}

const readParse = (body: Buffer): string => {
  const from = body.indexOf(0) + 1
  return body.toString('utf8', from, body.indexOf(0, from))
}

function readBind(body: Buffer): string[] {
  let at = body.indexOf(0, body.indexOf(0) + 1) + 1
  at += 2 + 2 * body.readInt16BE(at)
  const values: string[] = []
  const count = body.readInt16BE(at)
  at += 2
  for (let index = 0; index < count; index += 1) {
    const length = body.readInt32BE(at)
    at += 4
    values.push(length < 0 ? '' : body.toString('utf8', at, at + length))
    at += Math.max(0, length)
  }
  return values
}
