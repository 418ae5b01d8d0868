-- What must be published, written with what caused it and deleted when the stream has it.
create table outbox (
  position bigint generated always as identity primary key,
  message_id uuid not null unique,
  stream text not null,
  subject text not null,
  payload bytea not null,
  created_at timestamptz not null default clock_timestamp()
);
