-- One counter row hands out event numbers inside the writing transaction. Its row lock lasts until commit, so numbers
-- have no gaps and their order is the order of commits: a reader that has seen seq n has seen everything before it.
create table event_counter (
  id boolean primary key default true check (id),
  last_seq bigint not null default 0
);
insert into event_counter default values;

create table events (
  seq bigint primary key,
  team_id uuid not null references teams (id) on delete cascade,
  type text not null,
  subject_kind text not null,
  subject_id text not null,
  rooms text[] not null,
  data jsonb not null default '{}',
  at timestamptz not null default now()
);
create index events_team_seq on events (team_id, seq);
create index events_at on events (at);

-- Background duties run under a lease with a growing term; every write of a job names the term it was granted.
create table leader_leases (
  name text primary key,
  holder text not null,
  term bigint not null,
  expires_at timestamptz not null
);
