import { LabError } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { often, type Queryable, rowsOf } from '../../db/query.ts'
import type { HostRow } from '../hosts/index.ts'
import type { LeaseRow } from '../leases/index.ts'

type CalledHost = Pick<HostRow, 'id' | 'team_id' | 'name' | 'url' | 'api_url' | 'agent' | 'status' | 'call_key' | 'link_only'> & {
  shell_allowed: boolean
}

/** The device a call acts on, with its host, and who holds it. */
export interface CallTarget {
  host: CalledHost
  device: { id: string; key: string; name: string | null; model: string | null; fence: number }
  lease: (LeaseRow & { run_requested_by: string | null; is_asked: boolean }) | null
}

export interface TargetQuestion {
  teamId: string
  hostName: string
  deviceKey: string | null | undefined
  /** Calls to a browser name no device: they mean the device `host`, or the browser that is named. */
  browser: boolean
}

interface Row {
  host: CalledHost
  device: (CallTarget['device'] & { has_browser: boolean }) | null
  lease: CallTarget['lease']
}

/** One statement, because every key press asks this. Throws the protocol's refusals for what does not exist. */
export async function findTarget(db: Queryable, question: TargetQuestion): Promise<CallTarget> {
  const asked = question.deviceKey ?? (question.browser ? 'host' : 'device1')
  const rows = await rowsOf(
    db,
    often(sql<Row>`
      select jsonb_build_object('id', h.id, 'team_id', h.team_id, 'name', h.name, 'url', h.url, 'api_url', h.api_url,
               'agent', h.agent, 'status', h.status, 'call_key', h.call_key, 'link_only', h.link_only, 'shell_allowed', h.shell_allowed) as host,
             case when d.id is not null then jsonb_build_object('id', d.id, 'key', d.device_key, 'name', d.name,
               'model', d.model, 'fence', d.fence,
               'has_browser', d.registration->'device_capabilities'->>'web' is not null) end as device,
             case when l.id is not null then jsonb_build_object('id', l.id, 'team_id', l.team_id, 'device_id', l.device_id,
               'device_key', d.device_key, 'host_name', h.name, 'holder_kind', l.holder_kind, 'holder_id', l.holder_id,
               'holder_name', l.holder_name, 'holder_ip', l.holder_ip, 'purpose', l.purpose, 'priority', l.priority, 'status', l.status, 'token', l.token, 'granted_at', l.granted_at,
               'last_activity_at', l.last_activity_at, 'expires_at', l.expires_at, 'end_reason', l.end_reason, 'ended_by', l.ended_by,
               'is_asked', exists (select 1 from lease_asks a where a.lease_id = l.id and a.status = 'open'),
               'run_requested_by', (select r.requested_by from runs r
                                     where r.lease_id = l.id and r.status in ('assigned', 'running')
                                       and r.id::text = l.holder_id limit 1)) end as lease
        from hosts h
        left join devices d on d.host_id = h.id and d.present and (d.device_key = ${asked} or ${question.browser})
        left join leases l on l.device_id = d.id and l.status = 'held'
       where h.name = ${question.hostName} and h.team_id = ${question.teamId} and h.status <> 'retired'
       order by d.position`),
  )
  const host = rows[0]?.host
  if (!host) {
    throw new LabError('host_not_found', {
      text: `Host "${question.hostName}" not found`,
      errorType: 'device_not_found',
      status: 400,
    })
  }
  const found = question.browser ? pickBrowser(rows, asked) : rows.find((row) => row.device?.key === asked)
  if (!found?.device) {
    throw new LabError('device_not_found', {
      text: `Device "${asked}" not found on host "${question.hostName}"`,
      errorType: 'device_not_found',
    })
  }
  return { host, device: found.device, lease: found.lease }
}

/** As hosts choose: their own device `host`, else the one that is named, else the first with a browser. */
function pickBrowser(rows: readonly Row[], asked: string): Row | undefined {
  const own = rows.find((row) => row.device?.key === 'host' && row.device.has_browser)
  return own ?? rows.find((row) => row.device?.key === asked) ?? rows.find((row) => row.device?.has_browser)
}
