/** What people say on television, by the value of the setting "Audio language". Lines of a moment stand below each other. */
const spoken: readonly (readonly (readonly string[])[])[] = [
  [
    ['Where have you been all day?'],
    ['I was at the harbor with my brother.', 'The boat did not come.'],
    ['Then we have to wait for the night.'],
  ],
  [
    ['Wo warst du den ganzen Tag?'],
    ['Ich war mit meinem Bruder am Hafen.', 'Das Schiff ist nicht gekommen.'],
    ['Dann warten wir auf die Nacht.'],
  ],
  [
    ['Mais tu es avec nous depuis ce matin.'],
    ['Nous avons vu le bateau dans le port.', 'Il est pour les enfants.'],
    ['Alors il faut attendre la nuit.'],
  ],
]
const momentMs = 4000

/** Nothing in the last quarter of each moment: people breathe. */
export function subtitleAt(language: number, now: number): readonly string[] {
  const moments = spoken[language] ?? []
  const moment = Math.floor(now / momentMs)
  return now % momentMs > momentMs * 0.75 ? [] : (moments[moment % moments.length] ?? [])
}
