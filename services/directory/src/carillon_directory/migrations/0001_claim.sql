-- What may stand once in the whole installation (realm, SIP user name, number) and which tenant holds it.
-- Written in the transaction that appends the change, so that two tenants can never both hold a value.
create table claim (
    kind   text not null,
    value  text not null,
    tenant text not null,
    primary key (kind, value)
);
create index claim_tenant on claim (tenant);
