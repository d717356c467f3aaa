-- A browser that was signed in with an API token: its cookie opens pictures, videos, files and reports of the token's team. It
-- counts as long as its token does; only the hash of the cookie is kept.
create table browser_sessions (
  id uuid primary key,
  token_id uuid not null references api_tokens (id) on delete cascade,
  secret_hash text not null unique,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null
);
create index browser_sessions_token on browser_sessions (token_id, created_at desc);
create index browser_sessions_ended on browser_sessions (expires_at);
alter table browser_sessions enable row level security;
