import { readFileSync } from 'node:fs'

/**
 * The local page that the browser device is tested against, so that a first run needs no internet.
 * Only the names of this table exist: a path from outside is compared, never joined to a folder.
 */
const files: Record<string, { file: string; contentType: string }> = {
  '': { file: 'index.html', contentType: 'text/html; charset=utf-8' },
  'index.html': { file: 'index.html', contentType: 'text/html; charset=utf-8' },
  'style.css': { file: 'style.css', contentType: 'text/css; charset=utf-8' },
  'app.js': { file: 'app.js', contentType: 'text/javascript; charset=utf-8' },
}

/** `path` is what follows /demo/, without query. Null: no such page. */
export function demoSitePage(path: string): { contentType: string; body: Buffer } | null {
  const name = path.replace(/^\/+/, '')
  const page = Object.hasOwn(files, name) ? files[name] : undefined
  if (!page) return null
  return { contentType: page.contentType, body: readFileSync(new URL(`../demo_site/${page.file}`, import.meta.url)) }
}
