-- A call gives a place back when it leaves what the limit guards. `visit`: which of its places it is, 0: the one for the whole call;
-- `refused`: on that visit there was none, or it was given back before it was taken. `taken_at`: the call's last start within the limit;
-- `held_until`: also when it was given back.
alter table place add column visit int not null default 0, add column refused boolean not null default false;

-- Beside the one with seven arguments, which replicas of older versions still call.
create function take_place(
  of_tenant text, of_counter text, of_call text, max_calls int, max_starts int, per_seconds int, hold_seconds int, of_visit int,
  out taken boolean, out calls bigint, out starts bigint) language plpgsql as $$
declare
  at_time timestamptz;
  call_over boolean;
  mine place%rowtype;
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
  select * into mine from place p where p.tenant = of_tenant and p.counter = of_counter and p.call_id = of_call for update;
  if found and mine.visit >= of_visit then
    -- Told again, or so late that the call has been there again since: what was said then.
    taken := not mine.refused;
  elsif found and not mine.ended then
    taken := true;
    update place p set visit = of_visit where p.tenant = of_tenant and p.counter = of_counter and p.call_id = of_call;
  else
    taken := (max_calls = 0 or calls < max_calls) and (max_starts = 0 or starts < max_starts);
    if taken or of_visit > 0 then
      insert into place (tenant, counter, call_id, taken_at, held_until, ended, visit, refused)
        values (of_tenant, of_counter, of_call, case when taken then at_time else '-infinity' end, at_time + make_interval(secs => hold_seconds), call_over or not taken, of_visit, not taken)
        on conflict (tenant, counter, call_id) do update set taken_at = greatest(place.taken_at, excluded.taken_at), held_until = excluded.held_until,
          ended = excluded.ended, visit = excluded.visit, refused = excluded.refused;
    end if;
  end if;
end $$;

create function free_place(of_tenant text, of_counter text, of_call text, of_visit int) returns void language sql as $$
  insert into place as p (tenant, counter, call_id, taken_at, held_until, ended, visit, refused)
    values (of_tenant, of_counter, of_call, '-infinity', clock_timestamp(), true, of_visit, true)
    on conflict (tenant, counter, call_id) do update set ended = true, held_until = clock_timestamp(), visit = of_visit, refused = p.refused or p.visit < of_visit
      where p.visit <= of_visit
$$;
