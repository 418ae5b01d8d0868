-- Several media nodes share registrations: each reads what the others changed since it looked last.
alter table registration
    add column changed xid8 not null default pg_current_xact_id(),
    add column gone boolean not null default false,
    add column heard_at timestamptz not null default now();
drop index registration_node;
create index registration_changed on registration (changed);
create index registration_expires on registration (expires_at);

-- Who is there, and where others send what is for its phones.
create table media_node (
    node text primary key,
    host text not null,
    port integer not null,
    seen_at timestamptz not null
);

-- What one node at a time does for all.
create table lease (
    name text primary key,
    node text not null,
    until timestamptz not null
);

-- Subscriptions of phones, taken up again by the same node after its process died.
create table subscription (
    name text primary key,
    node text not null,
    account text not null,
    facts jsonb not null,
    expires_at timestamptz not null
);
create index subscription_node on subscription (node);
