-- A resource's changes in its tenant's log: what it was at a version is one row.
create index event_of_resource on event (stream, (data ->> 'resource'), (data ->> 'resource_id'), version);
