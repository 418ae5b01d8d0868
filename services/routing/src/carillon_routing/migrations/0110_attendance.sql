-- Who is logged in at a hunt group, or was; who never was has no row.
create table attendance (
  tenant text not null, hunt_group_id text not null, user_id text not null, logged_in boolean not null,
  changed_at timestamptz not null default clock_timestamp(), primary key (tenant, hunt_group_id, user_id)
);
