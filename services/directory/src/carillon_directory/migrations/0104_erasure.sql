-- Persons who are being erased, and who were: `body` (the order) and `own` name them, and are destroyed when all is done.
create table erasure (
    erasure_id   uuid primary key,
    tenant       text not null,
    pseudonym    text not null,
    requested_by text not null,
    reason       text not null,
    requested_at timestamptz not null default clock_timestamp(),
    -- The last version that the first step made; the log is rewritten up to it.
    up_to        int not null,
    -- 0: the log is not rewritten yet; then which round of the order is under way.
    round        int not null default 0,
    rewritten_at timestamptz,
    body         jsonb,
    own          jsonb,
    waits_for    text not null default '',
    done_at      timestamptz
);
create index erasure_open on erasure (requested_at) where done_at is null;

-- What each service did, round by round.
create table erasure_answer (
    erasure_id uuid not null references erasure,
    round      int not null,
    service    text not null,
    counts     jsonb not null,
    at         timestamptz not null default clock_timestamp(),
    primary key (erasure_id, round, service)
);
