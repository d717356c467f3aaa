import assert from 'node:assert/strict'
import { test } from 'node:test'
import { canonicalUrl } from './canonical-url.ts'

test('S23: every way to write an API path has one form, and the form is a fixed point', () => {
  const cases: [string, string][] = [
    ['/', '/'],
    ['/?a=1', '/?a=1'],
    ['/server', '/'],
    ['/server/', '/'],
    ['/server?a=1', '/?a=1'],
    ['/health', '/server/health'],
    ['/server/health', '/server/health'],
    ['/server/server/health', '/server/health'],
    ['/server/server/server/health', '/server/health'],
    ['/server/health/', '/server/health'],
    ['/health//', '/server/health'],
    ['//server//server/health', '/server/health'],
    ['/server//health', '/server/health'],
    ['/health?x=/server/', '/server/health?x=/server/'],
    ['/health/?x=a/', '/server/health?x=a/'],
    ['/server?team_id=1?v=17', '/?team_id=1?v=17'],
    ['/serverhealth', '/server/serverhealth'],
    ['/server-health', '/server/server-health'],
    ['/servers/health', '/server/servers/health'],
    ['/socket.io/?EIO=4', '/server/socket.io?EIO=4'],
    ['/system/getAllHosts?team_id=&team_id=x', '/server/system/getAllHosts?team_id=&team_id=x'],
    ['/grafana', '/grafana'],
    ['/grafana/', '/grafana/'],
    ['/grafana/d/1?x=1', '/grafana/d/1?x=1'],
    ['/grafanas', '/server/grafanas'],
    ['/server/grafana/x', '/server/grafana/x'],
    ['/console/', '/console/'],
    ['', '/'],
    ['*', '/server/*'],
    ['/%73erver/health', '/server/%73erver/health'],
  ]
  for (const [from, to] of cases) {
    assert.equal(canonicalUrl(from), to, from)
    assert.equal(canonicalUrl(to), to, `${to} is not stable`)
  }
})

test('long addresses cost no more than their length', () => {
  const from = process.cpuUsage()
  canonicalUrl(`/server${'/'.repeat(15_000)}x${'/server'.repeat(2000)}${'/'.repeat(15_000)}`)
  assert.ok(process.cpuUsage(from).user < 2_000_000, 'microseconds of computing')
})
