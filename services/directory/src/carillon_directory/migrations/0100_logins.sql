-- Logins of people; tenant '' holds the operator's own. Secrets are hashes, but the authenticator's, which is sealed.
create table login (
    tenant          text not null,
    user_id         text not null,
    password_hash   text not null,
    totp_sealed     text not null default '',
    totp_confirmed  boolean not null default false,
    -- The last time step whose code was taken: a code counts once.
    totp_step       bigint not null default 0,
    recovery_hashes text[] not null default '{}',
    failures        int not null default 0,
    locks           int not null default 0,
    locked_until    timestamptz,
    last_login_at   timestamptz,
    changed_at      timestamptz not null default clock_timestamp(),
    primary key (tenant, user_id)
);

-- One row a refresh token that was given out; those of one login share the family.
create table refresh_token (
    hash       bytea primary key,
    family     uuid not null,
    tenant     text not null,
    user_id    text not null,
    expires_at timestamptz not null,
    used_at    timestamptz
);
create index refresh_token_family on refresh_token (family);
create index refresh_token_of on refresh_token (tenant, user_id);
create index refresh_token_old on refresh_token (expires_at);

-- Keys of systems; tenant '' for those above the tenants. The secret has 256 random bits, so its hash needs no salt.
create table api_key (
    id           text primary key,
    tenant       text not null,
    display_name text not null,
    role         text not null,
    hash         bytea not null,
    created_by   text not null,
    created_at   timestamptz not null default clock_timestamp(),
    expires_at   timestamptz,
    last_used_at timestamptz
);
create index api_key_of on api_key (tenant, id);

-- What tokens are signed with; the newest that is old enough to be known everywhere signs.
create table signing_key (
    kid            text primary key,
    private_sealed text not null,
    public_x       text not null,
    created_at     timestamptz not null default clock_timestamp()
);
