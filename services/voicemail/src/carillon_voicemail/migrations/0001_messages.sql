-- Messages: one per recording, whatever is delivered how often.
create table message (
  message_id uuid primary key,
  tenant text not null,
  mailbox_id text not null,
  call_id text not null,
  seq int not null,
  caller_number text not null,
  caller_name text not null,
  received_at timestamptz not null,
  duration_ms int not null,
  object text not null,
  stored_at timestamptz not null default clock_timestamp(),
  unique (tenant, call_id, seq)
);
create index message_newest on message (tenant, received_at desc, message_id desc);
create index message_newest_of_mailbox on message (tenant, mailbox_id, received_at desc, message_id desc);

-- One e-mail per message. `attempts` also fences: a failure of who was overtaken by another worker counts for nothing.
create table mail_job (
  message_id uuid primary key references message on delete cascade,
  recipients text[] not null,
  mailbox_name text not null,
  language text not null,
  time_zone text not null,
  state text not null default 'pending' check (state in ('pending', 'sending', 'sent', 'failed')),
  attempts int not null default 0,
  next_attempt_at timestamptz not null default clock_timestamp(),
  leased_until timestamptz,
  last_error text not null default '',
  created_at timestamptz not null default clock_timestamp(),
  finished_at timestamptz
);
create index mail_job_due on mail_job (next_attempt_at) where state in ('pending', 'sending');
