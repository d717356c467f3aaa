-- What dashboards may see. A viewer of a dashboard can send any SQL, so the border is here and not in the dashboard: its
-- database user reads this schema and nothing else, and every view shows the team of that user only.
create schema report;

-- The database users of dashboards; made at run time, each for one team.
create table report.readers (
  role_name name primary key,
  team_id uuid not null references teams (id) on delete cascade,
  seen_at timestamptz not null default now()
);
create index readers_team on report.readers (team_id);

create index runs_finished on runs (team_id, finished_at desc) where finished_at is not null;

-- Counted runs: ended passed, failed or error, not discarded, not replaced by the result of a later retry, and no check of
-- the lab itself. security_barrier: no function of the viewer's sees a row before the team is compared. Inside a view
-- current_user is whoever asks, while the rights are those of the view's owner.
create view report.counted_runs with (security_barrier) as
select r.id as run_id,
       r.team_id,
       r.kind,
       r.status as result,
       r.name as script,
       coalesce(nullif(coalesce(i.parts[1], i.parts[2], i.parts[3]), ''), 'none') as interface,
       r.host_name as host,
       coalesce(r.device_name, r.device_key) as device,
       r.device_model,
       r.failure_class,
       r.started_at,
       r.finished_at,
       -- days are those of the team
       date_trunc('day', r.finished_at, t.time_zone) as finished_day,
       round(extract(epoch from r.finished_at - r.started_at), 3) as duration_seconds,
       coalesce(r.error_message, r.error_code) as error,
       coalesce(r.report_url, case when r.report_artifact_id is not null then '/server/runs/' || r.id || '/report' end) as report
  from runs r
  join teams t on t.id = r.team_id
 cross join lateral (
       select regexp_match(r.parameters, '--userinterface(?:=|\s+)(?:"([^"]*)"|''([^'']*)''|(\S+))') as parts
       ) i
 where r.team_id = (select reader.team_id from report.readers reader where reader.role_name = current_user)
   and r.finished_at is not null
   and r.status in ('passed', 'failed', 'error')
   and r.kind not in ('health_check', 'batch')
   and not r.discarded
   and not exists (
       select from runs later
        where later.retry_of = r.id and later.status in ('passed', 'failed', 'error') and not later.discarded
       );

create view report.script_results with (security_barrier) as
select run_id, team_id, kind, result, script, interface, host, device, device_model, started_at, finished_at, finished_day,
       duration_seconds, error, report
  from report.counted_runs
 where kind in ('script', 'testcase');
