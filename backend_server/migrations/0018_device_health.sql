-- Does a device work? Health checks say so: runs of the kind health_check.
alter table devices
  add column health text not null default 'unknown' check (health in ('unknown', 'good', 'suspect', 'bad')),
  add column health_reason text,
  add column health_since timestamptz,
  -- the last check that came to a verdict, also one that changed nothing
  add column health_checked_at timestamptz;

create table device_health_history (
  id bigint generated always as identity primary key,
  device_id uuid not null references devices (id) on delete cascade,
  from_health text not null,
  to_health text not null,
  reason text not null,
  actor text not null,
  -- no reference: a run may go, and rows of the history are never changed
  run_id uuid,
  at timestamptz not null default now()
);
create index device_health_history_page on device_health_history (device_id, id desc);
create index device_health_history_at on device_health_history (at);
create trigger device_health_history_stays before update on device_health_history
  for each row execute function refuse_change();
alter table device_health_history enable row level security;

-- Runs that wait for a bad device get it no sooner than it is mended, so nobody waits behind them.
create or replace view device_line with (security_invoker) as
select device_id, 'user'::text as kind, id, priority, requested_at as since, coalesce(holder_name, holder_id) as name, null::uuid as run_id
  from leases where status = 'waiting' and expires_at > now()
union all
select device_id, 'run', id, priority, queued_at, name, id
  from runs where status = 'queued' and cancel_requested_at is null and device_id is not null
   and not exists (select 1 from devices d where d.id = runs.device_id and d.health = 'bad');
