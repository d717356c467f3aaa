create table hosts (
  id uuid primary key,
  team_id uuid not null references teams (id) on delete cascade,
  -- the wire knows a host by its name alone, so a name is unique over all teams
  name text not null unique,
  description text,
  url text,
  api_url text,
  port integer,
  ip text,
  -- address the present URL was announced from: the pin that keeps a stranger from taking over the name
  registered_from text,
  agent text,
  agent_version text,
  protocol_version integer,
  ping_interval_s numeric,
  boot_id text,
  status text not null check (status in ('online', 'draining', 'offline', 'retired')),
  status_reason text,
  reachable boolean not null default true,
  system_stats jsonb not null default '{}',
  device_metrics jsonb not null default '[]',
  scripts jsonb not null default '[]',
  key_hash text,
  -- what this host asked to be sent as X-API-Key on calls to it; never listed
  call_key text,
  registered_at timestamptz,
  reconnected_at timestamptz,
  last_seen_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (team_id, id)
);

create table devices (
  id uuid primary key,
  team_id uuid not null references teams (id) on delete cascade,
  host_id uuid not null,
  device_key text not null,
  position integer not null default 0,
  -- false once the host registers without it; the row stays for its flags, leases and runs
  present boolean not null default true,
  name text,
  model text,
  -- the device as its host describes it, with every field it sent
  registration jsonb not null default '{}',
  status text not null check (status in ('available', 'leased', 'offline', 'maintenance', 'retired')),
  fence bigint not null default 0,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (host_id, device_key),
  unique (team_id, id),
  foreign key (team_id, host_id) references hosts (team_id, id) on delete cascade
);
create index devices_team on devices (team_id);

-- Set by people; a registration never touches them.
create table device_flags (
  device_id uuid not null references devices (id) on delete cascade,
  flag text not null check (flag = lower(flag) and flag <> ''),
  set_by text,
  set_at timestamptz not null default now(),
  primary key (device_id, flag)
);

create table device_status_history (
  id bigint generated always as identity primary key,
  device_id uuid not null references devices (id) on delete cascade,
  from_status text,
  to_status text not null,
  reason text,
  actor text,
  at timestamptz not null default now()
);
create index device_status_history_device on device_status_history (device_id, at);

-- Every change of a device's status is recorded where it happens, whoever makes it.
create function record_device_status() returns trigger language plpgsql as $$
begin
  insert into virtualpytest.device_status_history (device_id, from_status, to_status)
  values (new.id, case when tg_op = 'UPDATE' then old.status end, new.status);
  return null;
end $$;
create trigger device_status_inserted after insert on devices
  for each row execute function record_device_status();
create trigger device_status_changed after update of status on devices
  for each row when (old.status is distinct from new.status) execute function record_device_status();
