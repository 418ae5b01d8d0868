-- A floor (all queues of a tenant) as it was after so many of its events: where folding begins.
create table floor_snapshot (
  tenant text primary key,
  version int not null,
  state jsonb not null
);
-- Who runs the clock of all floors: one replica at a time, until then.
create table floor_clock (
  name text primary key,
  holder text not null,
  until timestamptz not null
);
