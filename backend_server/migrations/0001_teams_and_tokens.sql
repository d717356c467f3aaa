-- Teams own everything. The default team exists from the start because hosts and the old web app name none.
create table teams (
  id uuid primary key,
  name text not null,
  description text,
  tenant_id text,
  time_zone text not null default 'UTC',
  settings jsonb not null default '{}',
  is_default boolean not null default false,
  created_by text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create unique index teams_name_key on teams (lower(name));
create unique index teams_one_default on teams (is_default) where is_default;

insert into teams (id, name, description, is_default)
values ('7fdeb4bb-3639-4ec3-959f-b54769a219ce', 'Default team', 'Everything that names no team', true);

-- Only the hash of a token is kept: a stolen dump signs nobody in.
create table api_tokens (
  id uuid primary key,
  team_id uuid not null references teams (id) on delete cascade,
  name text not null,
  token_hash text not null unique,
  role text not null check (role in ('viewer', 'tester', 'admin')),
  created_by text,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  last_used_at timestamptz,
  revoked_at timestamptz
);
create index api_tokens_team on api_tokens (team_id);

-- Append-only record of what people and programs changed; secrets never enter it.
create table audit_log (
  id bigint generated always as identity primary key,
  at timestamptz not null default now(),
  team_id uuid references teams (id) on delete set null,
  actor_kind text not null,
  actor_id text,
  action text not null,
  target_kind text,
  target_id text,
  details jsonb not null default '{}',
  reason text,
  request_id text,
  ip text
);
create index audit_log_team_at on audit_log (team_id, at desc);
