import type { Namespace, Socket } from 'socket.io'
import { z } from 'zod'
import type { Caller } from '../../http/caller.ts'

const Session = z.object({ session_id: z.string().min(1).max(200) })
const Message = Session.extend({ message: z.string(), agent_id: z.string().max(200).nullish().catch(null) })
const mostSessions = 100

/**
 * The namespace of the assistant. This server has none: clients may connect, join their session and get a clear answer.
 * Sessions are rooms within a team, so nobody hears the session of another team by its name.
 */
export function openAgentNamespace(socket: Socket, { namespace, caller }: { namespace: Namespace; caller: Caller }): void {
  const roomOf = (sessionId: string): string => `session:${caller.teamId}:${sessionId}`

  socket.emit('connected', { status: 'ok' })

  handle('join_session', Session, ({ session_id }) => {
    if (socket.rooms.size > mostSessions) {
      socket.emit('error', { error: `One connection can join at most ${mostSessions} sessions.`, type: 'validation_error' })
      return
    }
    namespace.in(socket.id).socketsJoin(roomOf(session_id))
    socket.emit('joined', { session_id })
  })
  handle('leave_session', Session, ({ session_id }) => namespace.in(socket.id).socketsLeave(roomOf(session_id)))
  handle('send_message', Message, ({ session_id, agent_id }) => {
    const agent = agent_id ?? 'server'
    const say = (type: 'error' | 'session_ended', content: string, more: object = {}): void => {
      // The sender hears it also when it has not joined; a socket in both rooms gets it once.
      namespace
        .to([roomOf(session_id), socket.id])
        .emit('agent_event', { type, agent, content, timestamp: new Date().toISOString(), ...more })
    }
    say('error', 'No assistant is configured on this server.', { success: false, error: 'not configured' })
    say('session_ended', 'The session has ended.')
  })

  function handle<S extends z.ZodType>(name: string, schema: S, work: (payload: z.output<S>) => void): void {
    socket.on(name, (payload: unknown) => {
      const result = schema.safeParse(payload)
      if (result.success) work(result.data)
      else socket.emit('error', { error: `${name}: ${z.prettifyError(result.error).slice(0, 500)}`, type: 'validation_error' })
    })
  }
}
