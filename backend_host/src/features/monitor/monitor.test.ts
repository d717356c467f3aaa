import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { fastify } from 'fastify'
import { createFakeDriver } from '../../../test/fakes/fake-driver.ts'
import { readConfig } from '../../config.ts'
import { systemClock } from '../../drivers/index.ts'
import { createServerClient } from '../../link/server-client.ts'
import { createDevices } from '../devices/index.ts'
import { createLive } from '../live/index.ts'
import { createMediaStore } from '../media/index.ts'
import { createChecks, createReferences } from '../verification/index.ts'
import { createMonitor, openAlertOutbox } from './index.ts'

const boxOfOne = { DEVICE1_NAME: 'Box', DEVICE1_MODEL: 'stb', DEVICE1_DRIVER: 'sim' }

test('S: an alert of an earlier life of the agent ends after 20 s when nobody watches the device any more', async (t) => {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'vpt-monitor-'))
  t.after(() => rm(dataDir, { recursive: true, force: true }))
  const raised = {
    id: 'of-an-earlier-life',
    device_id: 'device1',
    type: 'blackscreen',
    status: 'active',
    consecutive_count: 7,
    started_at: '2026-01-01T00:00:00.000Z',
    ended_at: null,
    end_reason: null,
    evidence: {},
  }
  await mkdir(path.join(dataDir, 'state'))
  await writeFile(path.join(dataDir, 'state', 'alerts.json'), JSON.stringify([{ isDelivered: true, report: raised }]))
  const { log } = fastify()
  const media = createMediaStore(dataDir, ['capture1'])
  const checks = createChecks({ clock: systemClock, ocr: null, media, references: createReferences(dataDir, media) })
  const { devices: configs } = readConfig({ SERVER_URL: 'http://127.0.0.1:1', HOST_NAME: 'lab-1', ...boxOfOne })
  const devices = createDevices(configs, () => createFakeDriver(), checks, log)
  const live = createLive({ devices, media, ffmpeg: null, log })
  // What is recorded stays here: nothing is sent before the outbox is started.
  const client = createServerClient({ serverUrl: 'http://127.0.0.1:1', apiKey: undefined })
  const alerts = await openAlertOutbox({
    dataDir,
    hostName: 'lab-1',
    client,
    serverNow: () => Date.now(),
    readPicture: (url) => media.read(url),
    log,
  })
  t.mock.timers.enable({ apis: ['setInterval', 'Date'], now: Date.parse('2026-01-01T00:10:00.000Z') })
  const monitor = createMonitor({ live, media, alerts, log })
  monitor.start()
  t.mock.timers.tick(20_000)
  assert.equal(alerts.active('device1').length, 1, 'viewers of before may still come back')
  t.mock.timers.tick(1_000)
  await monitor.close()
  const [ended, ...others] = alerts.recent('device1')
  assert.deepEqual(
    [ended?.id, ended?.status, ended?.end_reason, ended?.ended_at, others],
    [raised.id, 'resolved', 'stream_stopped', '2026-01-01T00:10:21.000Z', []],
  )
})
