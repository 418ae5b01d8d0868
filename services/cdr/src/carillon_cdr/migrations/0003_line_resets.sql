-- Since when a line is somebody else's: the calls before are not in their list.
create table line_reset (tenant text not null, user_id text not null, reset_at timestamptz not null, primary key (tenant, user_id));
