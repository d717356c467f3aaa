/*
 * The cookie of a signed-in browser. Lax: requests that pages of other sites cause do not carry it, except links that somebody
 * follows, such as the one to a report in a mail. That no other route reads it is what protects the rest.
 */

const name = 'vpt_session'
/** More of one name come from elsewhere: another host of the same domain can set cookies too. */
const mostRead = 3

/** Values of our cookie in a Cookie header. */
export const readSessionCookies = (header: string | undefined): string[] =>
  (header ?? '')
    .split(';')
    .map((part) => part.trim())
    .filter((part) => part.startsWith(`${name}=`))
    .map((part) => part.slice(name.length + 1))
    .filter((value) => /^[\w-]{43}$/.test(value))
    .slice(0, mostRead)

export const sessionCookie = (value: string, options: { seconds: number; isSecure: boolean }): string =>
  `${name}=${value}; Path=/server; Max-Age=${options.seconds}; HttpOnly; SameSite=Lax${options.isSecure ? '; Secure' : ''}`
