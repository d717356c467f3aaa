-- Leases of people get a place in a line, a name for others to read, and an end when their client is gone.
alter table leases
  -- what others read: the name of a token, never its id; null where holder_id is what the client itself calls its user
  add column holder_name text,
  add column priority integer not null default 50 check (priority between 0 and 100),
  -- the client says by itself that it is there (heartbeats), so its silence ends the lease soon
  add column beats boolean not null default false,
  -- extended by hand: until then neither silence nor idleness ends the lease
  add column kept_until timestamptz;

create index leases_waiting on leases (device_id, priority desc, requested_at, id) where status = 'waiting';
-- one place per person
create unique index leases_one_place on leases (device_id, holder_kind, holder_id) where status = 'waiting';

-- Everybody who waits for a device, people and runs in one line: by priority, then by age. A person whose client is silent
-- keeps the place until the lease is ended by the job, but is passed over. With the rights of who asks: row security counts.
create view device_line with (security_invoker) as
select device_id, 'user'::text as kind, id, priority, requested_at as since, coalesce(holder_name, holder_id) as name, null::uuid as run_id
  from leases where status = 'waiting' and expires_at > now()
union all
select device_id, 'run', id, priority, queued_at, name, id
  from runs where status = 'queued' and cancel_requested_at is null and device_id is not null;

-- Somebody asks the holder of a lease to give the device back.
create table lease_asks (
  id uuid primary key,
  team_id uuid not null references teams (id) on delete cascade,
  lease_id uuid not null references leases (id) on delete cascade,
  -- the place in the line of the person who asks
  waiting_id uuid not null references leases (id) on delete cascade,
  message text,
  status text not null check (status in ('open', 'given', 'refused', 'void')),
  asked_at timestamptz not null default now(),
  answer_by timestamptz not null,
  answered_at timestamptz,
  answer_message text,
  -- false: the countdown ran out
  answered_by_holder boolean,
  check ((status = 'open') = (answered_at is null))
);
create unique index lease_asks_one_open on lease_asks (lease_id, waiting_id) where status = 'open';
create index lease_asks_due on lease_asks (answer_by) where status = 'open';
create index lease_asks_waiting on lease_asks (waiting_id);
create index lease_asks_team on lease_asks (team_id);
alter table lease_asks enable row level security;

-- Heartbeats change no listing: the kept answer of getAllHosts stays valid.
drop trigger leases_listed on leases;
create constraint trigger leases_listed after insert or delete or update of status, holder_kind, holder_id, holder_name on leases
  deferrable initially deferred for each row execute function count_host_listing();

-- Why and by whom a status changed is derived here, so that no statement can forget it. A statement that knows better says
-- so for its transaction: set_config('virtualpytest.status_reason', ..., true).
create or replace function record_device_status() returns trigger language plpgsql set search_path = virtualpytest as $$
declare
  why text := nullif(current_setting('virtualpytest.status_reason', true), '');
  who text := nullif(current_setting('virtualpytest.status_actor', true), '');
begin
  if why is null and new.status = 'leased' then
    select case when tg_op = 'UPDATE' and old.status = 'offline' then 'the host is back; the lease goes on'
                when l.holder_kind = 'run' then 'leased by a run' else 'leased' end,
           case when l.holder_kind = 'run' then 'run ' || l.holder_id else coalesce(l.holder_name, l.holder_id) end
      into why, who from leases l where l.device_id = new.id and l.status = 'held';
  elsif why is null and tg_op = 'UPDATE' and old.status = 'leased' and new.status = 'available' then
    select 'lease ' || l.status || coalesce(': ' || l.end_reason, ''), l.ended_by
      into why, who from leases l where l.device_id = new.id and l.token is not null and l.ended_at is not null
     order by l.token desc limit 1;
  elsif why is null and new.status = 'offline' then
    select case when not new.present then 'its host does not announce it any more'
                when tg_op = 'INSERT' then 'registered' else 'host offline' || coalesce(': ' || h.status_reason, '') end, h.name
      into why, who from hosts h where h.id = new.host_id;
  elsif why is null and tg_op = 'UPDATE' and old.status = 'offline' then
    select 'the host is online', h.name into why, who from hosts h where h.id = new.host_id;
  end if;
  insert into device_status_history (device_id, from_status, to_status, reason, actor)
  values (new.id, case when tg_op = 'UPDATE' then old.status end, new.status, why, who);
  return null;
end $$;
create index device_status_history_page on device_status_history (device_id, id desc);
drop index device_status_history_device;

create function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '% is append-only', tg_table_name;
end $$;
create trigger device_status_history_stays before update on device_status_history
  for each row execute function refuse_change();
