-- Calls that routing makes itself, later. `who`: the user who is called back, or the phone that is told of a call for help; `via`: the call
-- that is under way for it; `over`: what came of it. `words` and `language`: what a phone is told.
create table call_order (
  tenant text not null, order_id uuid not null, kind text not null, who text not null, number text not null, caused_by text not null,
  blocked text not null default '', watched text not null default '', words text not null default '', language text not null default '',
  asked_at timestamptz not null, not_before timestamptz not null, expires_at timestamptz not null,
  tries int not null default 0, via text not null default '', via_at timestamptz,
  over text not null default '', over_at timestamptz, primary key (tenant, order_id)
);
create index on call_order (asked_at) where over = '';
create index on call_order (over_at) where over <> '';
-- Whoever asks again while it is open keeps the place.
create unique index on call_order (tenant, who, number) where over = '' and kind = 'call_back';
-- Each phone is told of each call once.
create unique index on call_order (tenant, caused_by, who) where kind = 'emergency_notice';
