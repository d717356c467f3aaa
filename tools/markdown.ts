/** Text that stands in a cell of a Markdown table as it is. */
export const escapeCell = (text: string) => text.replaceAll('\\', '\\\\').replaceAll('|', '\\|').replaceAll('\n', ' ')
