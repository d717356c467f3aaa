const byId = (id) => document.getElementById(id)

const form = byId('form')
const answer = byId('answer')
let bookings = 1000
let counted = 0

function problemOf(name, email) {
  if (name === '') return 'Please tell us your name'
  if (!/^\S+@\S+\.\S+$/.test(email)) return 'This is not an email address'
  return ''
}

form.addEventListener('submit', (event) => {
  event.preventDefault()
  const name = byId('name').value.trim()
  const email = byId('email').value.trim()
  const problem = problemOf(name, email)
  byId('problem').textContent = problem
  if (problem !== '') return
  bookings += 1
  const device = byId('device').selectedOptions[0].text
  byId('thanks').textContent = `Thank you, ${name}`
  byId('booking').textContent = `B-${bookings}`
  byId('summary').textContent = `${device} for ${email}${byId('reminder').checked ? ', with a reminder' : ''}`
  form.hidden = true
  form.style.display = 'none'
  answer.hidden = false
})

byId('again').addEventListener('click', () => {
  form.reset()
  form.style.display = ''
  form.hidden = false
  answer.hidden = true
})

function count(change) {
  counted += change
  byId('counted').textContent = `Counted ${counted}`
}

byId('count').addEventListener('click', () => count(1))
byId('count').addEventListener('keydown', (event) => {
  if (event.key === 'ArrowUp') count(1)
  if (event.key === 'ArrowDown') count(-1)
  if (event.key.startsWith('Arrow')) event.preventDefault()
})

for (let i = 1; i <= 40; i += 1) {
  const item = document.createElement('li')
  item.textContent = `Line ${i} of 40`
  byId('list').append(item)
}
