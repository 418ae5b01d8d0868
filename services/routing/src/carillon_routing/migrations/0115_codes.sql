-- Codes that callers gave wrongly, in a row and over all calls; each try once, however often it is told.
create table code_block (
  tenant text not null, user_id text not null, kind text not null, wrong int not null default 0, primary key (tenant, user_id, kind)
);
create table code_try (
  tenant text not null, call_id text not null, user_id text not null, kind text not null, turn text not null,
  accepted boolean not null, wrong int not null, tried_at timestamptz not null default clock_timestamp(),
  primary key (tenant, call_id, user_id, kind, turn)
);
create index on code_try (tried_at);

create function count_try(
  of_tenant text, of_user text, of_kind text, of_call text, of_turn text, was_right boolean, at_most int,
  out accepted boolean, out wrong int) language plpgsql as $$
declare before int;
begin
  -- The user's row is the lock under which the tries are ordered.
  insert into code_block as b (tenant, user_id, kind) values (of_tenant, of_user, of_kind)
    on conflict (tenant, user_id, kind) do update set wrong = b.wrong returning b.wrong into before;
  -- A try that is told again, or one in the same place of a later question of the same call: it is never accepted for what was said before.
  select t.accepted and was_right, t.wrong into accepted, wrong from code_try t
    where t.tenant = of_tenant and t.call_id = of_call and t.user_id = of_user and t.kind = of_kind and t.turn = of_turn;
  if found then
    return;
  end if;
  accepted := was_right and before < at_most;
  wrong := case when accepted then 0 when was_right then before else before + 1 end;
  update code_block b set wrong = count_try.wrong where b.tenant = of_tenant and b.user_id = of_user and b.kind = of_kind;
  insert into code_try (tenant, call_id, user_id, kind, turn, accepted, wrong)
    values (of_tenant, of_call, of_user, of_kind, of_turn, count_try.accepted, count_try.wrong);
end $$;
