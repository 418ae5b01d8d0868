-- The ledger: every call event once, at its place, with its bytes as they were published.
create table call_event (
  tenant text not null,
  call_id text not null,
  seq int not null check (seq >= 1),
  event_id uuid not null,
  type text not null,
  at timestamptz not null,
  body bytea not null,
  stored_at timestamptz not null default clock_timestamp(),
  primary key (tenant, call_id, seq)
);
-- Finds out whether a call that got a late event has ended.
create index call_event_ended on call_event (tenant, call_id) where type = 'carillon.call.ended.v1';
create index call_event_started on call_event (at) where seq = 1;

-- Another content came for a place that was taken: kept, never applied.
create table call_event_conflict (
  tenant text not null,
  call_id text not null,
  seq int not null,
  digest bytea not null,
  event_id uuid not null,
  body bytea not null,
  arrived_at timestamptz not null default clock_timestamp(),
  primary key (tenant, call_id, seq, digest)
);

-- One record per call; `data` is the published CallRecorded, the other columns are for filters.
create table call_record (
  tenant text not null,
  call_id text not null,
  started_at timestamptz not null,
  direction text not null,
  status text not null,
  caller text not null,
  dialled text not null,
  answered_by text not null,
  data json not null,
  recorded_at timestamptz not null default clock_timestamp(),
  primary key (tenant, call_id)
);
create index call_record_newest on call_record (tenant, started_at desc, call_id desc);

-- For operators: calls that began and have no record yet.
create view open_call as
select s.tenant, s.call_id, s.at as started_at, e.events, e.last_seq, e.last_at
  from call_event s
 cross join lateral (select count(*) as events, max(seq) as last_seq, max(stored_at) as last_at
                       from call_event e where e.tenant = s.tenant and e.call_id = s.call_id) e
 where s.seq = 1
   and not exists (select from call_record r where r.tenant = s.tenant and r.call_id = s.call_id);
