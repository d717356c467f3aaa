-- Servers on this database, while they have links of hosts: where the others reach them, and with which key.
create table server_instances (
  id uuid primary key,
  name text not null,
  internal_url text not null,
  internal_key text not null,
  expires_at timestamptz not null
);

-- The open link of a host and the server that has it. The newest link of a host takes the row; its owner moves expires_at.
create table host_links (
  host_id uuid primary key references hosts (id) on delete cascade,
  link_id uuid not null,
  server_id uuid not null references server_instances (id) on delete cascade,
  boot_id text not null,
  opened_at timestamptz not null default now(),
  expires_at timestamptz not null
);
create index host_links_server on host_links (server_id);

-- Renewals change nothing that anybody sees.
create constraint trigger host_links_listed after insert or delete or update of link_id on host_links
  deferrable initially deferred for each row execute function count_host_listing();

-- The host wants to be called over its link alone, because its URL cannot be reached.
alter table hosts add column link_only boolean not null default false;

alter table server_instances enable row level security;
alter table host_links enable row level security;
