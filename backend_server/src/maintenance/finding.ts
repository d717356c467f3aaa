/** One line of `vpt doctor`. A warning works and should be looked at; a failure does not work. */
export interface Finding {
  name: string
  level: 'ok' | 'warn' | 'fail'
  text: string
  /** What to do about it. */
  cure?: string
}

export const ok = (name: string, text: string): Finding => ({ name, level: 'ok', text })
export const warn = (name: string, text: string, cure: string): Finding => ({ name, level: 'warn', text, cure })
export const fail = (name: string, text: string, cure: string): Finding => ({ name, level: 'fail', text, cure })
