-- Who sells to tenants: above them, in no tenant's log.
create table reseller (
    id       text primary key,
    etag     bigint not null default 1,
    document jsonb not null
);

alter table api_key add column reseller text not null default '';
