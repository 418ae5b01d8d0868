-- Whether media said that it has begun the call under way: then it is waited for, however late its events come.
alter table call_order add column via_accepted boolean not null default false;
