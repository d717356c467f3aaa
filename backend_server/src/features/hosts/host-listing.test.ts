import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pino } from 'pino'
import { startLab } from '../../../test/start-lab.ts'
import { buildApp } from '../../app.ts'
import { openDatabase } from '../../db/database.ts'

interface Listed {
  hosts: {
    host_name: string
    status: string
    devices: { device_id: string; device_name: string; isLocked: boolean; has_running_deployment: boolean }[]
  }[]
}

test('the kept listing is never older than the last write, also one through another server', async (t) => {
  const lab = await startLab(t, { hosts: 0 })
  const log = pino({ level: 'silent' })
  const second = await buildApp({
    config: lab.config,
    db: openDatabase({ url: lab.databaseUrl, log }),
    databaseUrl: lab.databaseUrl,
    log,
  })
  t.after(() => second.stop())
  const secondUrl = await second.listen()
  await second.bringUp()
  const list = async (url: string): Promise<Listed> => (await (await fetch(`${url}/server/system/getAllHosts`)).json()) as Listed
  const device = (index: number) => ({
    device_id: 'device1',
    device_name: `name ${index}`,
    has_running_deployment: index % 2 === 0,
  })

  // Readers that ask all the time keep the bytes warm and share queries with the readers that check.
  let reading = true
  const readers = [lab.url, secondUrl].map(async (url) => {
    while (reading) await list(url)
  })
  for (let index = 0; index < 40; index += 1) {
    const register = index % 4 === 0
    const path = register ? '/server/system/register' : '/server/system/ping'
    const writer = index % 3 === 0 ? secondUrl : lab.url
    const body = { host_name: 'lab-1', host_url: 'http://127.0.0.1:1', devices: [device(index)] }
    const answer = await fetch(`${writer}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    assert.equal(answer.status, 200, await answer.text())
    for (const url of [lab.url, secondUrl]) {
      const [host] = (await list(url)).hosts
      assert.deepEqual(
        [host?.devices[0]?.device_name, host?.devices[0]?.has_running_deployment],
        [`name ${index}`, index % 2 === 0],
        `write ${index}, read at ${url}`,
      )
    }
  }
  reading = false
  await Promise.all(readers)
})

test('bytes of one shape or team are never those of another', async (t) => {
  // Without beats meanwhile, which would move last_seen on.
  const lab = await startLab(t, { hosts: 2, host: { beatMs: 600_000 } })
  const { teamId } = await lab.addTeam('empty')
  const shapes = [
    '',
    '?include_actions=true',
    '?include_system_stats=true',
    '?include_actions=true&include_system_stats=true',
    `?team_id=${teamId}`,
  ]
  const first = await Promise.all(
    shapes.map(async (query) => (await lab.get<Listed>(`/server/system/getAllHosts${query}`)).body.hosts),
  )
  assert.deepEqual(
    first.map((hosts) => hosts.length),
    [2, 2, 2, 2, 0],
  )
  assert.equal(
    new Set(
      first.map((hosts) =>
        JSON.stringify(
          hosts.map((host) =>
            Object.keys(host)
              .sort()
              .concat(Object.keys(host.devices[0] ?? {}).sort()),
          ),
        ),
      ),
    ).size,
    4,
    'with actions, figures are there in any case',
  )
  const second = await Promise.all(
    shapes.map(async (query) => (await lab.get<Listed>(`/server/system/getAllHosts${query}`)).body.hosts),
  )
  assert.deepEqual(second, first)
})
