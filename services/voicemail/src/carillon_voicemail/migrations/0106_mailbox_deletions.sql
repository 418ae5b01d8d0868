-- Mailboxes that were deleted, and whose: what is in them is not another department's that makes one anew under the same id.
create table mailbox_deletion (
  tenant text not null,
  mailbox_id text not null,
  department_id text not null,
  deleted_at timestamptz not null,
  primary key (tenant, mailbox_id, deleted_at)
);
