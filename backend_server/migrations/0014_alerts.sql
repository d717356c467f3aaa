-- Faults of picture and sound that agents see. The id is the agent's, so that a report may be repeated.
create table alerts (
  id uuid primary key,
  team_id uuid not null references teams (id) on delete cascade,
  device_id uuid not null references devices (id) on delete cascade,
  type text not null check (type in ('blackscreen', 'freeze', 'errors', 'audio_loss', 'macroblocks')),
  status text not null check (status in ('active', 'resolved')),
  consecutive_count integer not null check (consecutive_count > 0),
  started_at timestamptz not null,
  ended_at timestamptz,
  -- the run that was on the device when it began
  run_id uuid references runs (id) on delete set null,
  evidence jsonb not null default '{}',
  checked boolean not null default false,
  check_kind text,
  discarded boolean not null default false,
  discard_kind text,
  discard_comment text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  check ((status = 'resolved') = (ended_at is not null))
);
-- One open alert for each device and kind, whoever reports.
create unique index alerts_active on alerts (device_id, type) where status = 'active';
create index alerts_of_device on alerts (device_id, started_at desc);
create index alerts_of_team on alerts (team_id, status, started_at desc);

alter table alerts enable row level security;
