-- Whose a record is: `user/claire` who had part in the call, `department/sales` as it was when the record was made; and, of who hears its
-- recordings, from when until when they talked. A conference's meeting stands here as a call does. Calls of before have their users alone.
create table call_record_of (
  tenant text not null,
  call_id text not null,
  whose text not null,
  started_at timestamptz not null,
  talked_from timestamptz,
  talked_until timestamptz,
  primary key (tenant, call_id, whose)
);
insert into call_record_of (tenant, call_id, whose, started_at, talked_from, talked_until)
select tenant, call_id, 'user/' || (leg ->> 'party'), started_at, min((leg ->> 'answered_at')::timestamptz),
       max(coalesce((leg ->> 'ended_at')::timestamptz, (data ->> 'ended_at')::timestamptz)) filter (where leg ->> 'answered_at' is not null)
  from call_record, json_array_elements(data -> 'legs') leg
 where leg ->> 'party' <> '' and leg ->> 'party' not like 'trunk:%'
 group by tenant, call_id, leg ->> 'party', started_at;
create index call_record_of_newest on call_record_of (tenant, whose, started_at desc, call_id desc);
analyze call_record_of;
