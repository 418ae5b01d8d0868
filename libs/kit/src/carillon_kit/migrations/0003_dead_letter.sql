-- Messages that a consumer gave up (carillon_kit.dead_letters).
create table dead_letter (
    id bigint generated always as identity primary key,
    durable text not null,
    stream text not null,
    stream_seq bigint not null,
    subject text not null,
    data bytea not null,
    headers jsonb not null,
    message_id text not null,
    error text not null,
    deliveries int not null,
    stored_at timestamptz not null,
    died_at timestamptz not null default clock_timestamp(),
    replaying boolean not null default false,
    unique (durable, stream, stream_seq, stored_at)
);
create index dead_letter_replaying on dead_letter (durable, id) where replaying;
