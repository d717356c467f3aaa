-- The interface of a run, taken out of its parameters without a regular expression: over the runs of a month that took ten
-- seconds, which is as long as a dashboard may ask.
create or replace view report.counted_runs with (security_barrier) as
select r.id as run_id,
       r.team_id,
       r.kind,
       r.status as result,
       r.name as script,
       coalesce(nullif(case when left(i.rest, 1) not in ('=', ' ') then ''
                            when left(i.value, 1) in ('"', '''') and strpos(substr(i.value, 2), left(i.value, 1)) > 0
                              then split_part(substr(i.value, 2), left(i.value, 1), 1)
                            else split_part(i.value, ' ', 1) end, ''), 'none') as interface,
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
       select split_part(translate(r.parameters, E'\t\n\r\f\x0b', '     '), '--userinterface', 2) as rest
       ) p
 cross join lateral (
       select p.rest, case when left(p.rest, 1) = '=' then substr(p.rest, 2) else ltrim(p.rest, ' ') end as value
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
