-- Counts rebuilds, so that a batch that was on its way when one was asked for does not move the position past it.
alter table relay add column rebuilds int not null default 0;
