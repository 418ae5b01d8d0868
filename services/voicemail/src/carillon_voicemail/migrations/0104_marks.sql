-- What became of a message: `new` until it was heard; `heard` and `saved` count as old; what is deleted can be taken back for a while.
alter table message
  add column mark text not null default 'new' check (mark in ('new', 'heard', 'saved', 'deleted')),
  add column marked_at timestamptz not null default clock_timestamp();
create index message_deleted on message (marked_at) where mark = 'deleted';

-- Greetings that were spoken by phone: they are played in place of the mailbox's own.
create table greeting (
  tenant text not null,
  mailbox_id text not null,
  object text not null,
  recorded_at timestamptz not null default clock_timestamp(),
  primary key (tenant, mailbox_id)
);
