-- A device may fetch by its maker's certificate without a secret; one that was withdrawn fetches nothing until it is prepared again.
alter table provisioned_device alter column hash drop not null;
alter table provisioned_device add column withdrawn boolean not null default false;
