import { createServer, type Server } from 'node:http'

/** Original hosts rewrite local server URLs to http and port 5109; this listener hands what arrives there to the main one. */
export function createCompatServer(main: Server): Server {
  return createServer((request, response) => main.emit('request', request, response)).on('upgrade', (...upgrade) =>
    main.emit('upgrade', ...upgrade),
  )
}

/** A wildcard address is no address to visit. */
export const publicAddress = (address: string): string => address.replace('0.0.0.0', '127.0.0.1').replace('[::]', '127.0.0.1')
