-- What is deleted by age is found by age.
create index device_status_history_at on device_status_history (at);
create index lease_asks_settled on lease_asks (answered_at) where status <> 'open';
create index leases_ended on leases (ended_at) where ended_at is not null;
-- the questions of a person about a device
create index leases_of_holder on leases (device_id, holder_id) where holder_kind = 'user';
