-- Recordings of calls; the audio is in the object store under `object`. A row stays when its audio was deleted, with who did it.
create table recording (
  recording_id uuid primary key,
  tenant text not null,
  call_id text not null,
  seq int not null,
  leg_id text not null,
  started_at timestamptz not null,
  duration_ms int not null,
  bytes bigint not null,
  object text not null,
  labels jsonb not null,
  expires_at timestamptz not null,
  deleted_at timestamptz,
  deleted_by text not null default '',
  unique (tenant, call_id, seq)
);
create index recording_newest on recording (tenant, started_at desc, recording_id desc) where deleted_at is null;
create index recording_expired on recording (expires_at) where deleted_at is null;
create index recording_object on recording (object) where deleted_at is null;
