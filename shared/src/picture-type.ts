const signatures = {
  'image/jpeg': [0xff, 0xd8, 0xff],
  'image/png': [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a],
} as const

export type PictureType = keyof typeof signatures

/** What the first bytes of a picture say it is, whatever its sender calls it; undefined for everything else. */
export function pictureType(bytes: Uint8Array): PictureType | undefined {
  const types = Object.keys(signatures) as PictureType[]
  return types.find((type) => signatures[type].every((byte, index) => bytes[index] === byte))
}
