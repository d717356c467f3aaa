-- Each team's organization in Grafana. The server makes them in the order of these numbers, so that Grafana, which may lose
-- its own memory at any time, gives the same number to the same team again. A number is never used for a second team.
create table report.organizations (
  number integer primary key check (number >= 1),
  team_id uuid unique references teams (id) on delete set null,
  created_at timestamptz not null default now()
);
insert into report.organizations (number, team_id) select 1, id from teams where is_default;
