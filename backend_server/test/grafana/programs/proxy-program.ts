import { startProxy } from '../start-proxy.ts'

// The proxy in a process of its own: says its port, then at each message the memory it has now and the most it had since the last one.
const target = new URL(process.argv[2] ?? '')
const proxy = await startProxy(() => target)
let peak = 0
const sample = (): number => {
  const { rss } = process.memoryUsage()
  peak = Math.max(peak, rss)
  return rss
}
setInterval(sample, 5)
process.on('message', () => {
  const now = sample()
  process.send?.({ now, peak })
  peak = now
})
process.on('disconnect', () => process.exit(0))
process.send?.({ port: proxy.port })
