import type { Job } from '../../jobs/runner.ts'
import type { LinkHub } from './link-hub.ts'

/** Keeps the rows of this server's links alive, closes links that were replaced, and removes those of servers that died. */
export const renewLinksJob = (options: { hub: LinkHub; everyMs: number }): Job => ({
  name: 'hosts.links',
  everyMs: options.everyMs,
  leader: false,
  run: () => options.hub.renew(),
})
