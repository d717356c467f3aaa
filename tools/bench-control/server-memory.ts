import { WebSocket } from 'ws'

export interface ServerMemory {
  /** What is alive after a collection: the heap and what it holds outside, in kB. */
  heldKb: number
  /** What the process has in memory, in kB: also what it has freed and not given back yet. */
  residentKb: number
}

/** Asks a Node process for its memory, over the inspector it was started with: garbage would be counted otherwise. */
export async function readServerMemory(inspectorPort: number): Promise<ServerMemory> {
  const response = await fetch(`http://127.0.0.1:${inspectorPort}/json/list`)
  const [target] = (await response.json()) as { webSocketDebuggerUrl: string }[]
  if (!target) throw new Error('the server has no inspector')
  const socket = new WebSocket(target.webSocketDebuggerUrl)
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject))
  let lastId = 0
  const ask = (method: string, params: Record<string, unknown> = {}): Promise<{ result?: { value?: string } }> =>
    new Promise((resolve, reject) => {
      lastId += 1
      const id = lastId
      const read = (data: Buffer): void => {
        const answer = JSON.parse(data.toString()) as { id?: number; result?: { result?: { value?: string } }; error?: unknown }
        if (answer.id !== id) return
        socket.off('message', read)
        if (answer.error === undefined) resolve(answer.result ?? {})
        else reject(new Error(`${method}: ${JSON.stringify(answer.error)}`))
      }
      socket.on('message', read).once('close', () => reject(new Error('the inspector closed')))
      socket.send(JSON.stringify({ id, method, params }))
    })
  try {
    await ask('HeapProfiler.enable')
    // Twice: what finalizers let go of is collected by the second.
    for (let round = 0; round < 2; round += 1) await ask('HeapProfiler.collectGarbage')
    const expression = 'JSON.stringify(process.memoryUsage())'
    const { result } = await ask('Runtime.evaluate', { expression, returnByValue: true })
    const usage = JSON.parse(result?.value ?? '{}') as NodeJS.MemoryUsage
    return { heldKb: (usage.heapUsed + usage.external) / 1024, residentKb: usage.rss / 1024 }
  } finally {
    socket.terminate()
  }
}
