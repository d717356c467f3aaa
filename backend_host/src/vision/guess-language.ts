/** Words that are frequent in one language and rare in the others. */
const frequent: Readonly<Record<string, readonly string[]>> = {
  eng: [
    'the',
    'and',
    'you',
    'was',
    'with',
    'have',
    'not',
    'where',
    'been',
    'this',
    'that',
    'are',
    'for',
    'we',
    'to',
    'my',
    'all',
  ],
  deu: ['der', 'die', 'das', 'und', 'ist', 'nicht', 'ich', 'du', 'den', 'mit', 'wir', 'auf', 'ein', 'am', 'wo', 'war', 'dann'],
  fra: [
    'le',
    'la',
    'les',
    'et',
    'est',
    'nous',
    'vous',
    'dans',
    'pour',
    'avec',
    'il',
    'une',
    'mais',
    'tu',
    'avons',
    'pas',
    'depuis',
  ],
  spa: ['el', 'los', 'las', 'y', 'es', 'que', 'con', 'por', 'una', 'pero', 'muy', 'donde', 'para', 'yo', 'del', 'esta'],
  ita: ['il', 'gli', 'che', 'non', 'sono', 'con', 'per', 'una', 'ma', 'dove', 'della', 'io', 'ho', 'sei', 'questo', 'molto'],
  nld: ['de', 'het', 'een', 'en', 'is', 'niet', 'ik', 'met', 'van', 'voor', 'je', 'waar', 'maar', 'wij', 'zijn', 'naar'],
  por: ['o', 'os', 'e', 'que', 'com', 'uma', 'por', 'mas', 'eu', 'muito', 'onde', 'para', 'do', 'da', 'esta', 'voce'],
}

/** The language of a sentence as Tesseract names it; null where too few words tell. */
export function guessLanguage(text: string): string | null {
  const words = text.toLowerCase().match(/\p{L}+/gu) ?? []
  const ranked = Object.entries(frequent)
    .map(([language, known]) => ({ language, hits: words.filter((word) => known.includes(word)).length }))
    .sort((a, b) => b.hits - a.hits)
  const [first, second] = ranked
  if (!first || first.hits < 2 || first.hits === second?.hits) return null
  return first.language
}
