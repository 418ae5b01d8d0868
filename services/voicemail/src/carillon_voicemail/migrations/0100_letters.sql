-- E-mails that other services asked for; one per event, whatever is delivered how often. `attempts` fences as in mail_job.
create table letter_job (
  letter_id uuid primary key,
  tenant text not null,
  body jsonb,
  requested_at timestamptz not null,
  state text not null default 'pending' check (state in ('pending', 'sending', 'sent', 'failed')),
  attempts int not null default 0,
  next_attempt_at timestamptz not null default clock_timestamp(),
  leased_until timestamptz,
  last_error text not null default '',
  created_at timestamptz not null default clock_timestamp(),
  finished_at timestamptz
);
create index letter_job_due on letter_job (next_attempt_at) where state in ('pending', 'sending');
