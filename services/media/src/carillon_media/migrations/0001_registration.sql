-- Devices that are registered; written behind the answer to REGISTER, read at the start.
create table registration (
    sip_user text not null,
    contact text not null,
    node text not null,
    tenant text not null,
    user_id text not null,
    binding jsonb not null,
    registered_at timestamptz not null,
    expires_at timestamptz not null,
    primary key (sip_user, contact)
);
create index registration_node on registration (node);
