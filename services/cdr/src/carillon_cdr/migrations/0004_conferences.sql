-- no transaction
-- Finds the meetings that somebody was in without reading all other events.
create index concurrently if not exists call_event_joined on call_event (tenant) where type = 'carillon.call.conference_joined.v1';
