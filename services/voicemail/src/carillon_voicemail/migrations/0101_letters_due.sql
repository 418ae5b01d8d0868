-- A letter may be due later than it was asked for (reminders); its age counts from then.
alter table letter_job add column due_at timestamptz not null default clock_timestamp();
