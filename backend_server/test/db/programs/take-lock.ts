import { takeOwnerLock } from '../../../src/db/embedded/owner-lock.ts'

// Says "ready", takes the lock as soon as a line comes in, says what became of it, and holds what it got until it is killed.
const [file = ''] = process.argv.slice(2)
process.stdout.write('ready\n')
process.stdin.once('data', () => {
  takeOwnerLock(file).then(
    () => process.stdout.write('won\n'),
    () => {
      process.stdout.write('refused\n')
      process.stdin.destroy()
    },
  )
})
