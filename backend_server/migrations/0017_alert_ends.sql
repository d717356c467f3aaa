-- Why an alert ended, and what the screen showed then: hosts keep their pictures for a while only.
alter table alerts add column end_reason text
  check (end_reason in ('seen', 'stream_stopped', 'stream_lost', 'superseded', 'device_gone'));
alter table alerts add column start_artifact_id uuid references artifacts (id) on delete set null;
alter table alerts add column end_artifact_id uuid references artifacts (id) on delete set null;
-- The deletion of an artifact looks for the alerts that name it.
create index alerts_start_artifact on alerts (start_artifact_id) where start_artifact_id is not null;
create index alerts_end_artifact on alerts (end_artifact_id) where end_artifact_id is not null;
