import pg from 'pg'
import { clientConfig } from '../../src/db/connection-url.ts'

/** Rows of every kind that a working lab has, made by the database itself; awkward texts included. */
export async function seedLab(url: string, runs: number): Promise<void> {
  const client = new pg.Client(clientConfig(url, { connectTimeoutMs: 30_000, queryTimeoutMs: 0 }))
  await client.connect()
  try {
    await client.query(`begin; set local search_path to virtualpytest;
      insert into hosts (id, team_id, name, status, call_key, scripts, last_seen_at)
        select gen_random_uuid(), t.id, 'rack-' || n, 'online', md5(n::text), '[{"name":"a\\"b"}]', now()
          from teams t, generate_series(1, 4) n;
      insert into devices (id, team_id, host_id, device_key, status, fence, name)
        select gen_random_uuid(), h.team_id, h.id, 'device' || n, 'available', 40 + n, E'tab\\tline\\nback\\\\slash \\\\. end'
          from hosts h, generate_series(1, 3) n;
      insert into audit_log (team_id, actor_kind, action) select id, 'user', E'\\\\.' from teams, generate_series(1, 50);
      create temporary table places on commit drop as
        select id, team_id, host_id, device_key, row_number() over () as n from devices;
      insert into runs (id, team_id, kind, name, host_id, device_id, host_name, device_key, status, source, deadline_at,
                        timeout_seconds, started_at, finished_at, result, metadata)
        select gen_random_uuid(), s.team_id, 'script', 'zapping.ts', s.host_id, s.id, 'rack', s.device_key, 'passed', 'api',
               now(), 60, now() - interval '5 s', now(), jsonb_build_object('stdout', repeat(md5(number::text), 12), 'exit_code', 0),
               '{"λ": "ünïcode 🙂", "empty": ""}'
          from generate_series(1, ${runs}) as number join places s on s.n = 1 + number % 12;
      insert into run_steps (run_id, position, kind, name, started_at, duration_ms, outcome, message)
        select id, p, 'action', 'press OK', now(), random() * 1000, 'passed', case when p = 2 then E'\\\\N' end
          from runs, generate_series(1, 2) p;
      insert into run_log_chunks (run_id, from_line, lines) select id, 0, array['one', null, '', E'a "quoted" {line}'] from runs limit 200;
      -- Points at another row of its own table.
      update runs set retry_of = (select id from runs order by id limit 1) where id = (select id from runs order by id desc limit 1);
      update event_counter set last_seq = 2;
      insert into events (seq, team_id, type, subject_kind, subject_id, rooms, data)
        select n, (select id from teams limit 1), 'run.finished', 'run', 'x', array['team'], '{}' from generate_series(1, 2) n;
      commit`)
  } finally {
    await client.end()
  }
}
