-- What decisions count and look up; every function is one statement of the caller, so that a lock lives for one round trip.

-- How often a counter was drawn from, and what each visit of a call drew.
create table counter (
  tenant text not null, name text not null, drawn bigint not null default 0, primary key (tenant, name)
);
create table draw (
  tenant text not null, name text not null, call_id text not null, hop int not null, number bigint not null,
  drawn_at timestamptz not null default clock_timestamp(), primary key (tenant, name, call_id, hop)
);
create index on draw (drawn_at);

-- Calls and their legs as the call events tell; they come in any order, so each event fills in what it knows.
create table call_seen (
  tenant text not null, call_id text not null, direction text not null default '', caller text not null default '',
  caller_user_id text not null default '', seen_at timestamptz not null, ended_at timestamptz, primary key (tenant, call_id)
);
create index on call_seen (seen_at);
create table call_leg (
  tenant text not null, call_id text not null, leg_id text not null, party text not null default '', number text not null default '',
  seen_at timestamptz not null, answered_at timestamptz, ended_at timestamptz, primary key (tenant, call_id, leg_id)
);
create index on call_leg (seen_at);
create index on call_leg (tenant, party) where ended_at is null;
create index on call_leg (tenant, party, answered_at) where answered_at is not null;
-- Who of the tenant talked last with an outside number.
create table last_talk (
  tenant text not null, number text not null, user_id text not null, talked_at timestamptz not null, primary key (tenant, number)
);
create index on last_talk (talked_at);

-- A call's place under a limit: counted among the calls until it ended or `held_until`, among the starts by `taken_at`.
create table place (
  tenant text not null, counter text not null, call_id text not null, taken_at timestamptz not null, held_until timestamptz not null,
  ended boolean not null default false, primary key (tenant, counter, call_id)
);
create index on place (tenant, counter) where not ended;
create index on place (tenant, counter, taken_at);
create index on place (tenant, call_id) where not ended;
create index on place (taken_at);

create function draw_number(of_tenant text, of_name text, of_call text, of_hop int) returns bigint language plpgsql as $$
declare found_number bigint;
begin
  -- The counter's row is the lock under which its draws are ordered.
  insert into counter (tenant, name) values (of_tenant, of_name) on conflict (tenant, name) do update set drawn = counter.drawn;
  select number into found_number from draw where tenant = of_tenant and name = of_name and call_id = of_call and hop = of_hop;
  if found_number is null then
    update counter set drawn = drawn + 1 where tenant = of_tenant and name = of_name returning drawn - 1 into found_number;
    insert into draw (tenant, name, call_id, hop, number) values (of_tenant, of_name, of_call, of_hop, found_number);
  end if;
  return found_number;
end $$;

create function take_place(
  of_tenant text, of_counter text, of_call text, max_calls int, max_starts int, per_seconds int, hold_seconds int,
  out taken boolean, out calls bigint, out starts bigint) language plpgsql as $$
declare
  at_time timestamptz;
  call_over boolean;
begin
  insert into counter (tenant, name) values (of_tenant, 'place ' || of_counter)
    on conflict (tenant, name) do update set drawn = counter.drawn;
  -- The call's row orders this with the call's end: whichever comes second sees the other.
  insert into call_seen (tenant, call_id, seen_at) values (of_tenant, of_call, clock_timestamp())
    on conflict (tenant, call_id) do update set seen_at = call_seen.seen_at returning ended_at is not null into call_over;
  at_time := clock_timestamp();
  select count(*) into calls from place p
    where p.tenant = of_tenant and p.counter = of_counter and not p.ended and p.held_until > at_time and p.call_id <> of_call;
  select count(*) into starts from place p
    where p.tenant = of_tenant and p.counter = of_counter and p.taken_at > at_time - make_interval(secs => per_seconds) and p.call_id <> of_call;
  taken := exists (select from place p where p.tenant = of_tenant and p.counter = of_counter and p.call_id = of_call);
  if not taken then
    taken := (max_calls = 0 or calls < max_calls) and (max_starts = 0 or starts < max_starts);
    if taken then
      insert into place (tenant, counter, call_id, taken_at, held_until, ended)
        values (of_tenant, of_counter, of_call, at_time, at_time + make_interval(secs => hold_seconds), call_over);
    end if;
  end if;
end $$;
