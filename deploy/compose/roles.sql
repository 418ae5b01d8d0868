-- One role and one schema a service; run once, by the superuser, in the database `carillon`.
-- Passwords here are for Compose on one machine; production gets them from its secret store.
create role directory login password 'directory';
create role media login password 'media';
create role voicemail login password 'voicemail';
create role cdr login password 'cdr';
create role routing login password 'routing';
create schema authorization directory;
create schema authorization media;
create schema authorization voicemail;
create schema authorization cdr;
create schema authorization routing;
alter role directory set search_path = directory;
alter role media set search_path = media;
alter role voicemail set search_path = voicemail;
alter role cdr set search_path = cdr;
alter role routing set search_path = routing;
-- A service that is cut off in the middle of a change holds its locks no longer than this; others' logins wait for one of them.
alter role directory set idle_in_transaction_session_timeout = '30s';
alter role media set idle_in_transaction_session_timeout = '30s';
alter role voicemail set idle_in_transaction_session_timeout = '30s';
alter role cdr set idle_in_transaction_session_timeout = '30s';
alter role routing set idle_in_transaction_session_timeout = '30s';
revoke all on schema public from public;
