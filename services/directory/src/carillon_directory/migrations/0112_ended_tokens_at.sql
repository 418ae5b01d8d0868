-- Since when. Whoever ends tokens holds a share of one lock from before that moment until it is committed; whoever gives one takes its
-- time with the whole lock: so what was ended before that time is seen by who gives a token, and what is ended later ends the token.
alter table ended_token add column at timestamptz not null default clock_timestamp();

create function end_tokens_in_turn() returns trigger language plpgsql as $$
begin
    perform pg_advisory_xact_lock_shared(hashtextextended(current_schema() || '/ended_token', 0));
    return null;
end $$;
-- Before any row is locked, so that none waits for its share while another that has one waits for the row.
create trigger in_turn before insert on ended_token for each statement execute function end_tokens_in_turn();
create trigger in_turn before delete or update of password_hash on login for each statement execute function end_tokens_in_turn();
create trigger in_turn before delete on api_key for each statement execute function end_tokens_in_turn();
