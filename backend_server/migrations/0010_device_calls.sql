-- Remote shells run code on the host itself: off until an administrator allows them, host by host.
alter table hosts add column shell_allowed boolean not null default false;

-- Actions, verifications and blocks driven by hand are runs of the kind batch; what only they have is here.
create table batches (
  run_id uuid primary key references runs (id) on delete cascade,
  kind text not null check (kind in ('action', 'verification', 'builder', 'browser_task')),
  -- the id under which the host knows the work; null until it has accepted it
  host_execution_id text,
  -- names of what was asked for, by category; parameters are not kept, people type passwords into them
  labels jsonb not null default '{}',
  -- the last status object of the host
  status jsonb
);

-- Batches get no report, so they must not lie in the index of runs that wait for one.
drop index runs_unreported;
create index runs_unreported on runs (finished_at) where finished_at is not null and report_artifact_id is null and kind <> 'batch';
create index runs_open_batches on runs (id) where kind = 'batch' and status = 'running';

-- Pictures and texts that verifications compare with. There is no table of user interfaces yet, so a reference names its
-- interface as the protocol's requests do; the id joins the name when interfaces exist (ADR).
create table verification_references (
  id uuid primary key,
  team_id uuid not null references teams (id) on delete cascade,
  userinterface_name text not null,
  name text not null,
  kind text not null check (kind in ('image', 'text')),
  device_model text,
  area jsonb,
  text text,
  -- the stored picture; null where only an original host has it, at the address it told
  artifact_id uuid references artifacts (id),
  host_url text,
  host_path text,
  created_by text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  check ((kind = 'text') = (text is not null)),
  unique (team_id, userinterface_name, name, kind)
);
create index verification_references_listed on verification_references (team_id, updated_at desc);

alter table batches enable row level security;
alter table verification_references enable row level security;
