-- Since when a mailbox is somebody else's: what was left before is not stored any more, however late its event comes.
create table line_reset (tenant text not null, mailbox_id text not null, reset_at timestamptz not null, primary key (tenant, mailbox_id));
