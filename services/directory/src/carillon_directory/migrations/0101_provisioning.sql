-- Which devices may fetch their files: the secret has 160 random bits, so its hash needs no salt.
create table provisioned_device (
    tenant     text not null,
    device_id  text not null,
    hash       bytea not null unique,
    fetched_at timestamptz,
    file       text not null default '',
    user_agent text not null default '',
    source     text not null default '',
    primary key (tenant, device_id)
);

-- Passwords that were made for phones, sealed; a row counts while its hash is that of the credential.
create table provisioned_password (
    tenant        text not null,
    credential_id text not null,
    ha1_sha256    text not null,
    sealed        text not null,
    primary key (tenant, credential_id)
);
