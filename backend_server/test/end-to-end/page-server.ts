import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'

export interface PageServer {
  url: string
  /** Names under which pages have said that they are at work. */
  begun: Set<string>
}

const page = `<!doctype html><title>Keys</title>
<body style="margin:0;background:#fff;font:64px sans-serif"><p id="seen" style="margin:80px;width:900px">Nothing yet</p>
<script>addEventListener('keydown', ({ key }) => {
  const isUp = key === 'ArrowUp'
  seen.textContent = isUp ? 'Upward pressed' : 'Nothing yet'
  document.body.style.background = isUp ? '#ffd54f' : '#fff'
})</script>`

/** A page that shows which key it got, and where it can tell that a script of it has begun. */
export async function startPageServer(t: TestContext): Promise<PageServer> {
  const begun = new Set<string>()
  const server = createServer((request, response) => {
    const path = request.url ?? '/'
    if (path.startsWith('/begun/')) begun.add(path.slice('/begun/'.length))
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(path === '/' ? page : '')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, begun }
}
