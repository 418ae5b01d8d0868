-- Invitations to conferences, as their guests know them: what is needed to tell them of another time, or that it does not take place.
create table conference_invitation (
  tenant text not null,
  invitation_id text not null,
  room_id text not null,
  room_name text not null,
  organizer text not null,
  emails text[] not null,
  starts_at timestamptz not null,
  ends_at timestamptz not null,
  sequence int not null,
  cancelled boolean not null,
  config_seq bigint not null,
  primary key (tenant, invitation_id)
);
create index conference_invitation_ends on conference_invitation (ends_at);
