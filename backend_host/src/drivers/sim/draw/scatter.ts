/** A fixed number between 0 and 1 for the n-th thing of a picture: scattered, yet the same at every drawing. */
export function scatter(n: number): number {
  const wave = Math.sin(n * 127.1 + 311.7) * 43758.5453
  return wave - Math.floor(wave)
}
