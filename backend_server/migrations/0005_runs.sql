create table runs (
  id uuid primary key,
  team_id uuid not null references teams (id) on delete cascade,
  kind text not null check (kind in ('script', 'testcase', 'navigation', 'batch', 'health_check')),
  name text not null,
  parameters text not null default '',
  host_id uuid references hosts (id) on delete set null,
  device_id uuid references devices (id) on delete set null,
  -- as they were when the run was submitted: a result must stay readable after its host is gone
  host_name text not null,
  device_key text not null,
  device_name text,
  device_model text,
  status text not null check (status in ('queued', 'assigned', 'running', 'passed', 'failed', 'error', 'cancelled')),
  failure_class text check (failure_class in ('product', 'test', 'device', 'infrastructure', 'unknown')),
  error_code text,
  error_message text,
  source text not null check (source in ('manual', 'campaign', 'schedule', 'api', 'health')),
  requested_by text,
  requested_ip text,
  retry_of uuid references runs (id) on delete set null,
  attempt integer not null default 1 check (attempt >= 1),
  retries_left integer not null default 0 check (retries_left >= 0),
  priority integer not null default 50,
  idempotency_key text,
  idempotency_hash text,
  queued_at timestamptz not null default now(),
  assigned_at timestamptz,
  started_at timestamptz,
  finished_at timestamptz,
  -- the moment by which the present phase (waiting, then executing) must have ended
  deadline_at timestamptz not null,
  timeout_seconds integer not null,
  lease_id uuid references leases (id) on delete set null,
  lease_token bigint,
  -- our agents renew it with each beat; an original host sends no beats, so there it equals the deadline
  alive_until timestamptz,
  -- set before the host is called: an original host must not be asked twice
  dispatched_at timestamptz,
  dispatch_confirmed_at timestamptz,
  cancel_requested_at timestamptz,
  cancel_reason text,
  result jsonb,
  report_artifact_id uuid,
  log_artifact_id uuid,
  report_url text,
  logs_url text,
  checked boolean not null default false,
  check_type text,
  discarded boolean not null default false,
  discard_comment text,
  metadata jsonb not null default '{}',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (team_id, id),
  check ((status in ('passed', 'failed', 'error', 'cancelled')) = (finished_at is not null)),
  check (started_at is null or finished_at is null or started_at <= finished_at)
);
create unique index runs_idempotency on runs (team_id, idempotency_key) where idempotency_key is not null;
create index runs_team_queued on runs (team_id, queued_at desc);
create index runs_open on runs (status, deadline_at) where status in ('queued', 'assigned', 'running');
create index runs_queue on runs (device_id, priority desc, queued_at) where status = 'queued';
create index runs_device on runs (device_id, queued_at desc);
create index runs_host on runs (host_id) where status in ('assigned', 'running');
create index runs_lease on runs (lease_id);
create index runs_retry_of on runs (retry_of);
create index runs_unreported on runs (finished_at) where finished_at is not null and report_artifact_id is null;

create table artifacts (
  id uuid primary key,
  team_id uuid not null,
  run_id uuid,
  kind text not null check (kind in ('screenshot', 'file', 'log', 'report', 'video')),
  name text not null,
  storage_key text not null unique,
  content_type text not null,
  size_bytes bigint,
  sha256 text,
  status text not null check (status in ('pending', 'stored', 'upload_failed', 'deleted')),
  created_at timestamptz not null default now(),
  foreign key (team_id, run_id) references runs (team_id, id) on delete cascade
);
create index artifacts_run on artifacts (run_id);

create table run_steps (
  run_id uuid not null references runs (id) on delete cascade,
  position integer not null check (position >= 1),
  kind text not null check (kind in ('action', 'verification', 'block')),
  name text not null,
  started_at timestamptz not null,
  duration_ms double precision,
  outcome text check (outcome in ('passed', 'failed', 'error', 'skipped')),
  message text,
  details jsonb,
  screenshot_artifact_id uuid,
  primary key (run_id, position)
);

-- Lines of a run while it goes on; they become one artifact when it ends.
create table run_log_chunks (
  run_id uuid not null references runs (id) on delete cascade,
  from_line integer not null check (from_line >= 0),
  lines text[] not null,
  at timestamptz not null default now(),
  primary key (run_id, from_line)
);
