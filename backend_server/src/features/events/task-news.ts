import type { FastifyBaseLogger } from 'fastify'
import type { Socket } from 'socket.io'
import type { FeedEvent } from './event.store.ts'
import type { EventFeed } from './event-feed.ts'

export interface TaskNewsOptions {
  feed: EventFeed
  log: FastifyBaseLogger
  taskResult: (runId: string) => Promise<object | undefined>
  send: (teamId: string, payload: object) => void
}

/** Turns the end of a run into the protocol's `task_complete`, on every server for its own sockets, while there are any. */
export function createTaskNews({ feed, log, taskResult, send }: TaskNewsOptions) {
  const listening = new Set<Socket['conn']>()
  let watch: Promise<{ stop: () => void } | undefined> | undefined

  async function announce({ teamId, event }: FeedEvent): Promise<void> {
    const found = await taskResult(event.subject.id).catch((error: unknown) => {
      // The verdict stands in the event; clients read the rest when they ask for the run.
      log.warn({ err: error, run_id: event.subject.id }, 'the result of a run could not be read')
      return undefined
    })
    const text = event.data.error_message
    send(teamId, {
      task_id: event.subject.id,
      success: event.data.success === true,
      result: null,
      error: typeof text === 'string' ? text : null,
      execution_time: null,
      execution_logs: '',
      ...found,
    })
  }

  function stop(): void {
    watch?.then((one) => one?.stop()).catch(() => undefined)
    watch = undefined
  }

  return {
    /** Listens at least as long as this connection lasts. Resolves when it does. Never rejects. */
    async listenFor(conn: Socket['conn']): Promise<void> {
      if (!listening.has(conn)) {
        listening.add(conn)
        conn.once('close', () => {
          listening.delete(conn)
          if (listening.size === 0) stop()
        })
      }
      watch ??= feed
        .watch({
          types: ['run.finished'],
          async send(events) {
            for (const event of events) if (isTask(event)) await announce(event)
          },
          onError: (error) => log.error({ err: error }, 'ends of tasks are no longer announced'),
        })
        .catch(() => undefined)
      await watch
    },
    stop,
  }
}

/** Batches are polled by whoever started them; of those only the task of a browser is a task of the protocol. */
const isTask = ({ event: { data } }: FeedEvent): boolean => data.kind !== 'batch' || data.name === 'browser_use_task'
