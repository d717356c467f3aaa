// Many hosts with a link each, in one process; reads how many more there shall be. Prints how many links are open, whenever that changes.
import http from 'node:http'
import { createInterface } from 'node:readline'
import { createDial, type Dial } from '../../backend_host/src/link/dial.ts'
import { createReverseHttp } from '../../backend_host/src/link/reverse-http.ts'
import { quiet, register } from './calls.ts'

const [serverUrl = ''] = process.argv.slice(2)
const server = http.createServer((_request, response) => response.end('{"success":true}'))
const dials: Dial[] = []

async function openMore(count: number): Promise<void> {
  for (let index = 0; index < count; index += 1) {
    const hostName = `bench-${dials.length}`
    const facts = await register(serverUrl, hostName, 'http://127.0.0.1:1')
    const dial = createDial({ serverUrl, apiKey: undefined, hostName, ...facts, http: createReverseHttp(server), log: quiet })
    dial.start()
    dials.push(dial)
  }
}
let shown = -1
setInterval(() => {
  const open = dials.filter((dial) => dial.isOpen()).length
  if (open !== shown) process.stdout.write(`${open}\n`)
  shown = open
}, 50)
for await (const line of createInterface({ input: process.stdin })) await openMore(Number(line))
