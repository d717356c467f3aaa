/** Paths that are not part of the API and keep their form. */
const outsideApi = /^\/(grafana|console)(\/|$)/

/**
 * One form for every way to write an API path: with `/server` prefix, once, without trailing slash. nginx strips the
 * prefix and some clients double it, so `/system/x`, `/server/system/x/` and `/server/server/system/x` are all
 * `/server/system/x`. The root and paths outside the API stay. Applying it twice changes nothing.
 */
export function canonicalUrl(url: string): string {
  const queryAt = url.indexOf('?')
  const rawPath = queryAt === -1 ? url : url.slice(0, queryAt)
  const query = queryAt === -1 ? '' : url.slice(queryAt)
  if (outsideApi.test(rawPath)) return url
  const path = rawPath.replace(/^(?:\/+server(?=\/|$))+/, '').replace(/^\/{2,}/, '/')
  const bare = path.length > 1 ? path.replace(/\/+$/, '') : path
  return bare === '' || bare === '/' ? `/${query}` : `/server${bare.startsWith('/') ? '' : '/'}${bare}${query}`
}
