import assert from 'node:assert/strict'
import { readFileSync, utimesSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import test from 'node:test'
import { takeOwnerLock } from '../../src/db/embedded/owner-lock.ts'
import { identityOf } from '../../src/db/embedded/process-identity.ts'
import { cleanUp, startProgram, temporaryFolder, until } from './tools.ts'

// Promise: one server per data folder (N1 depends on it). Kills lock owners; judges by what each process printed.

const someoneElse = { id: 'someone-else', since: '2026-01-01T00:00:00.000Z' }

test('N1: of six servers that find a dead owner at the same moment one wins, again and again', async (t) => {
  const file = path.join(temporaryFolder(t), 'owner.lock')
  for (let round = 0; round < 4; round += 1) {
    const servers = Array.from({ length: 6 }, () => startProgram(t, 'take-lock.ts', [file]))
    for (const one of servers) assert.equal(await one.nextLine(), 'ready')
    for (const one of servers) one.child.stdin?.write('go\n')
    const answers = await Promise.all(servers.map((one) => one.nextLine()))
    assert.equal(answers.filter((one) => one === 'won').length, 1, `round ${round}: ${answers.join(' ')}`)
    // The winner is killed without a chance to release; the next round finds its lock.
    for (const one of servers) one.child.kill('SIGKILL')
    await Promise.all(servers.map((one) => one.ended))
  }
})

test('S6: a released lock is free, and the same process cannot take it twice', async (t) => {
  const file = path.join(temporaryFolder(t), 'owner.lock')
  const lock = await takeOwnerLock(file)
  await assert.rejects(takeOwnerLock(file), {
    code: 'data_folder_in_use',
    message: new RegExp(`process ${process.pid}, .*DATA_DIR`),
  })
  lock.release()
  lock.release()
  const again = await takeOwnerLock(file)
  again.release()
})

test('S6: a process that got the number of a dead owner does not count as the owner', async (t) => {
  const file = path.join(temporaryFolder(t), 'owner.lock')
  writeFileSync(file, JSON.stringify({ ...someoneElse, ...identityOf(process.pid), startTime: '1' }))
  const lock = await takeOwnerLock(file)
  assert.equal(JSON.parse(readFileSync(file, 'utf8')).pid, process.pid)
  lock.release()
})

test('S6: an owner in another container counts while it touches its lock, and no longer', async (t) => {
  const file = path.join(temporaryFolder(t), 'owner.lock')
  const elsewhere = { ...someoneElse, pid: 7, startTime: '1', bootId: 'another', pidNamespace: 'pid:[1]' }
  writeFileSync(file, JSON.stringify(elsewhere))
  const beat = setInterval(() => utimesSync(file, new Date(), new Date()), 300)
  cleanUp(t, () => clearInterval(beat))
  await assert.rejects(takeOwnerLock(file), { code: 'data_folder_in_use' })
  clearInterval(beat)
  const almostAbandoned = new Date(Date.now() - 7500)
  utimesSync(file, almostAbandoned, almostAbandoned)
  const lock = await takeOwnerLock(file)
  lock.release()
})

test('S6: a damaged lock file is taken over once nobody touches it', async (t) => {
  const file = path.join(temporaryFolder(t), 'owner.lock')
  writeFileSync(file, '')
  const long = new Date(Date.now() - 60_000)
  utimesSync(file, long, long)
  const lock = await takeOwnerLock(file)
  lock.release()
  await until('the file is gone', () => {
    try {
      readFileSync(file)
      return false
    } catch {
      return true
    }
  })
})
