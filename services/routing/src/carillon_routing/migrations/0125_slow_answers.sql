-- What web addresses answered after a call's decision had begun to wait for it, for whichever replica goes on with the call.
create table slow_answer (
  tenant text not null, call_id text not null, key text not null, value jsonb not null,
  answered_at timestamptz not null default clock_timestamp(), primary key (tenant, call_id, key)
);
create index on slow_answer (answered_at);
