-- Codes that are good once, to choose a password with; a new one of a user voids the former.
create table invitation (
    tenant     text not null,
    user_id    text not null,
    hash       bytea not null unique,
    expires_at timestamptz not null,
    primary key (tenant, user_id)
);
