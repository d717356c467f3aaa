import { type Html, html } from './html.ts'
import { artifactLink, type ReportArtifact, type ReportInput } from './report-input.ts'

/** Only what a browser shows as a plain picture; anything else would be a way to bring foreign content into the page. */
const dataPicture = /^data:image\/(?:png|jpeg|webp|gif);base64,[A-Za-z0-9+/]+={0,2}$/

export interface Pictures {
  /** A small picture that opens large on a click, or a link where the page does not hold the picture. Null: no such artifact. */
  thumbnail(artifactId: string, caption: string): Html | null
  /** The same at the width of its place. */
  large(artifactId: string, caption: string): Html | null
  /** Screenshots that no step refers to. */
  others: readonly ReportArtifact[]
}

/**
 * The picture itself is the summary of a `details` element, and the style sheet shows the open one over the whole window.
 * So each picture is in the page once, and opens with a click or the keyboard without a script.
 */
export function createPictures({ run, steps, pictures, artifacts }: ReportInput): Pictures {
  const names = new Map(artifacts.map((artifact) => [artifact.id, artifact.name]))
  const used = new Set(steps.map((step) => step.screenshot_artifact_id).filter((id) => id !== null && id !== undefined))

  const picture = (artifactId: string, caption: string, kind: 'thumb' | 'large'): Html | null => {
    const uri = pictures.get(artifactId)
    if (uri === undefined || !dataPicture.test(uri)) {
      if (!names.has(artifactId)) return null
      return html`<a class="file-link" href="${artifactLink(run.id, artifactId)}">Screenshot</a>`
    }
    return html`<details class="zoom ${kind}" name="zoom"><summary title="Open or close"><img src="${uri}" alt="Screenshot: ${caption}"><span class="caption">${caption}</span></summary></details>`
  }
  return {
    thumbnail: (artifactId, caption) => picture(artifactId, caption, 'thumb'),
    large: (artifactId, caption) => picture(artifactId, caption, 'large'),
    others: artifacts.filter((artifact) => artifact.kind === 'screenshot' && !used.has(artifact.id)),
  }
}

export function picturesSection(pictures: Pictures): Html | null {
  if (pictures.others.length === 0) return null
  return html`<section aria-labelledby="pictures"><h2 id="pictures">More screenshots</h2><div class="gallery">${pictures.others.map(
    ({ id, name }) => html`<figure>${pictures.thumbnail(id, name)}<figcaption>${name}</figcaption></figure>`,
  )}</div></section>`
}
