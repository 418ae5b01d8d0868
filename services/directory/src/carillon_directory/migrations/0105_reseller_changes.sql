-- What happened to resellers, in the order in which it did: whoever changes one holds the table `reseller` meanwhile.
create table reseller_change (
    seq         bigint generated always as identity primary key,
    at          timestamptz not null default clock_timestamp(),
    actor       text not null,
    reason      text not null default '',
    reseller_id text not null,
    before      jsonb,
    after       jsonb
);

insert into reseller_change (actor, reason, reseller_id, after)
select '', 'known before changes were kept', id, (document #>> '{}')::jsonb || jsonb_build_object('etag', etag::text) from reseller order by id;
