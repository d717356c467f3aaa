/*
 * Loaded into the programs of the demo before their own code (`node --import`). Their standard input is a pipe that nobody
 * writes to: it closes when the demo is gone, also when it was killed, and then they stop in an orderly way instead of
 * holding the data folder for ever.
 */
const stop = (): void => {
  process.kill(process.pid, 'SIGTERM')
}
process.stdin.once('close', stop)
process.stdin.on('error', () => undefined)
process.stdin.resume()
if ('unref' in process.stdin) process.stdin.unref()
