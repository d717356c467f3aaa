import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultTeamId } from '@virtualpytest/shared'
import { roomNames, splitRooms } from './room-names.ts'

const other = '11111111-2222-4333-8444-555555555555'
const run = 'AAAAAAAA-2222-4333-8444-555555555555'

test('a list of rooms is split where a room begins, so names may have commas', () => {
  assert.deepEqual(splitRooms('team, host:lab,west ,device:lab:device1,run:x,team'), [
    'team',
    'host:lab,west',
    'device:lab:device1',
    'run:x',
    'team',
  ])
  assert.deepEqual(splitRooms(''), [])
})

test('N13: rooms get the names that events carry, and the room of another team is refused', () => {
  assert.deepEqual(roomNames(['team', `team:${defaultTeamId.toUpperCase()}`, 'HOST:Lab', `RUN:${run}`], defaultTeamId), [
    `team:${defaultTeamId}`,
    'host:Lab',
    `run:${run.toLowerCase()}`,
  ])
  assert.throws(() => roomNames([`team:${other}`], defaultTeamId), { code: 'forbidden' })
  for (const wrong of ['', 'teams', 'host:', 'device:lab', 'run:1', 'team:x', '*']) {
    assert.throws(() => roomNames([wrong], defaultTeamId), { code: 'validation_error' }, wrong)
  }
})
