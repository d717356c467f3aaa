create table leases (
  id uuid primary key,
  team_id uuid not null,
  device_id uuid not null,
  holder_kind text not null check (holder_kind in ('user', 'run', 'campaign', 'health_check', 'maintenance')),
  -- a user or session id, or the id of the run
  holder_id text not null,
  holder_ip text,
  purpose text,
  token bigint check (token > 0),
  status text not null check (status in ('waiting', 'held', 'released', 'expired', 'revoked')),
  requested_at timestamptz not null default now(),
  granted_at timestamptz,
  last_activity_at timestamptz,
  expires_at timestamptz,
  ended_at timestamptz,
  end_reason text,
  ended_by text,
  unique (device_id, token),
  foreign key (team_id, device_id) references devices (team_id, id) on delete cascade,
  check ((status in ('released', 'expired', 'revoked')) = (ended_at is not null)),
  check (status <> 'held' or (token is not null and granted_at is not null and expires_at is not null))
);
-- the last line of defense: whatever the code does, one device has one holder
create unique index leases_one_holder on leases (device_id) where status = 'held';
create index leases_expiry on leases (expires_at) where status = 'held';
create index leases_team on leases (team_id, granted_at desc);
