-- Whose a record is: `user/claire` who had part in the call, `department/sales` as it was when the record was made; and, of who hears its
-- recordings, when they talked. A conference's meeting stands here as a call does. Calls of before have their users alone.
create table call_record_of (
  tenant text not null,
  call_id text not null,
  whose text not null,
  started_at timestamptz not null,
  talked tstzmultirange not null default '{}',
  primary key (tenant, call_id, whose)
);
-- What a caller's phone has sent may hold a NUL, which no text does; clocks may have been set back while a leg was up.
with leg as (
  select tenant, call_id, started_at, item ->> 'party' as party, (item ->> 'answered_at')::timestamptz as answered_at,
         coalesce(item ->> 'ended_at', data ->> 'ended_at')::timestamptz as ended_at
    from (select tenant, call_id, started_at, replace(data::text, '\u0000', '\ufffd')::json as data from call_record) clean,
         json_array_elements(data -> 'legs') item)
insert into call_record_of (tenant, call_id, whose, started_at, talked)
select tenant, call_id, 'user/' || party, started_at,
       coalesce(range_agg(tstzrange(answered_at, greatest(answered_at, ended_at))) filter (where answered_at is not null), '{}')
  from leg where party <> '' and party not like 'trunk:%'
 group by tenant, call_id, party, started_at;
create index call_record_of_newest on call_record_of (tenant, whose, started_at desc, call_id desc);
analyze call_record_of;
