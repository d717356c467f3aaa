import { z } from 'zod'

/** One line of `vpt doctor`. A warning works and should be looked at; a failure does not work. */
export const Finding = z.object({
  name: z.string(),
  level: z.enum(['ok', 'warn', 'fail']),
  text: z.string(),
  /** What to do about it. */
  cure: z.string().optional(),
})
export type Finding = z.infer<typeof Finding>
