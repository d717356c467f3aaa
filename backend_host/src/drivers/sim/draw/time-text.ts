/** Times as the box shows them, in the time zone of the machine. */
export function clockText(time: number): string {
  const date = new Date(time)
  return `${String(date.getHours()).padStart(2, '0')}:${String(date.getMinutes()).padStart(2, '0')}`
}

const days = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

export function dateText(time: number): string {
  const date = new Date(time)
  return `${days[date.getDay()]}, ${months[date.getMonth()]} ${date.getDate()}`
}
