/** Keys of the protocol and their names in the browser. BACK is Escape, as on original hosts: it closes, it does not leave the page. */
const names: Record<string, string> = {
  BACK: 'Escape',
  ESC: 'Escape',
  ESCAPE: 'Escape',
  OK: 'Enter',
  ENTER: 'Enter',
  HOME: 'Home',
  END: 'End',
  UP: 'ArrowUp',
  DOWN: 'ArrowDown',
  LEFT: 'ArrowLeft',
  RIGHT: 'ArrowRight',
  PAGE_UP: 'PageUp',
  PAGE_DOWN: 'PageDown',
  TAB: 'Tab',
  SPACE: 'Space',
  DELETE: 'Delete',
  BACKSPACE: 'Backspace',
  ...Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`F${i + 1}`, `F${i + 1}`])),
}

export const keyNames = Object.keys(names)

export function browserKey(key: string): string | null {
  return Object.hasOwn(names, key) ? (names[key] ?? null) : null
}
