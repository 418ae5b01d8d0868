-- Events that a consumer has applied, remembered in the transaction that applied them (carillon_kit.inbox).
create table inbox (
    consumer text not null,
    event_id uuid not null,
    at timestamptz not null default now(),
    primary key (consumer, event_id)
);
