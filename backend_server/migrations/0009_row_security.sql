-- Some platforms grant every new table to the role of their public key. The server is the owner of its tables, for whom row
-- security does not count; everybody else gets no row, whatever was granted, because there is no policy.
alter table schema_migrations enable row level security;
alter table teams enable row level security;
alter table api_tokens enable row level security;
alter table audit_log enable row level security;
alter table event_counter enable row level security;
alter table events enable row level security;
alter table leader_leases enable row level security;
alter table hosts enable row level security;
alter table devices enable row level security;
alter table device_flags enable row level security;
alter table device_status_history enable row level security;
alter table leases enable row level security;
alter table runs enable row level security;
alter table artifacts enable row level security;
alter table run_steps enable row level security;
alter table run_log_chunks enable row level security;
alter table listing_versions enable row level security;
alter table report.readers enable row level security;
alter table report.organizations enable row level security;
