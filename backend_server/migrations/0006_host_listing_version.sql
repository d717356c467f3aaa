-- The version of everything that a listing of hosts shows. Readers keep answers serialized and ask for this number first.
-- The trigger is deferred to the commit: the number moves together with the data, is never forgotten by a writer, and its
-- row is locked only for the last moment of a transaction. A transaction counts once.
create table listing_versions (
  name text primary key,
  version bigint not null default 0,
  counted_in xid8
);
insert into listing_versions (name) values ('hosts');

create function count_host_listing() returns trigger language plpgsql as $$
begin
  update virtualpytest.listing_versions
     set version = version + 1, counted_in = pg_current_xact_id()
   where name = 'hosts' and counted_in is distinct from pg_current_xact_id();
  return null;
end $$;

create constraint trigger hosts_listed after insert or update or delete on hosts
  deferrable initially deferred for each row execute function count_host_listing();
create constraint trigger devices_listed after insert or update or delete on devices
  deferrable initially deferred for each row execute function count_host_listing();
create constraint trigger leases_listed after insert or update or delete on leases
  deferrable initially deferred for each row execute function count_host_listing();
