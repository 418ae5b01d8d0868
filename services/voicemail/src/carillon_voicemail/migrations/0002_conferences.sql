-- Wrong PINs of conference rooms, by who tried: a caller at a room, or everybody at a room.
create table conference_tries (
  tenant text not null,
  room_id text not null,
  caller text not null,
  failures int not null default 0,
  locked_until timestamptz,
  last_at timestamptz not null default clock_timestamp(),
  primary key (tenant, room_id, caller)
);

-- Who was in a conference, and when; `left_at` null: is there now.
create table conference_attendance (
  tenant text not null,
  call_id text not null,
  seq int not null,
  room_id text not null,
  meeting_id text not null,
  display_name text not null,
  party text not null,
  number text not null,
  creator boolean not null,
  joined_at timestamptz not null,
  left_at timestamptz,
  primary key (tenant, call_id, seq)
);
create index conference_attendance_of_meeting on conference_attendance (tenant, meeting_id);

-- One summary a meeting; due again when somebody comes back before it is sent.
create table conference_summary (
  tenant text not null,
  meeting_id text not null,
  room_id text not null,
  state text not null default 'pending' check (state in ('pending', 'sending', 'sent', 'failed', 'nobody')),
  attempts int not null default 0,
  due_at timestamptz not null,
  last_error text not null default '',
  created_at timestamptz not null default clock_timestamp(),
  primary key (tenant, meeting_id)
);
create index conference_summary_due on conference_summary (due_at) where state in ('pending', 'sending');
