-- Each phone is told once of each number that a call for help went to: a call may be sent on from one to another.
drop index call_order_tenant_caused_by_who_idx;
create unique index on call_order (tenant, caused_by, who, number) where kind = 'emergency_notice';
-- When a line became free.
create index on call_leg (tenant, party, ended_at) where ended_at is not null and party like 'trunk:%';
-- How many erasures the snapshot has been through: whoever folded a floor before one writes no snapshot of it after it.
alter table floor_snapshot add column erasures int not null default 0;
