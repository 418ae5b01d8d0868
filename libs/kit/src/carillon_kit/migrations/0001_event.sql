-- Streams of events (carillon_kit.event_store) and how far each relay came (carillon_kit.relay).
create table event (
    position bigint generated always as identity primary key,
    xid xid8 not null default pg_current_xact_id(),
    stream text not null,
    version int not null check (version > 0),
    event_id uuid not null unique,
    type text not null,
    data jsonb not null,
    meta jsonb not null default '{}',
    at timestamptz not null default clock_timestamp(),
    unique (stream, version)
);
-- The order in which relays read: by transaction, not by identity, which commits out of order.
create index event_commit_order on event (xid, position);

create table relay (
    name text primary key,
    xid xid8 not null,
    position bigint not null,
    moved_at timestamptz not null default clock_timestamp()
);
