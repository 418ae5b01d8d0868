-- Whose access tokens count no more, until that is published; tenant '*': whatever the token names.
create table ended_token (
    position bigint generated always as identity primary key,
    tenant   text not null,
    subject  text not null
);

-- Whatever deletes a login or a key, or changes a password, ends the tokens that it gave.
create function end_tokens_of_login() returns trigger language plpgsql as $$
begin
    insert into ended_token (tenant, subject) values (old.tenant, 'user/' || old.user_id);
    return null;
end $$;
create trigger login_gone after delete on login for each row execute function end_tokens_of_login();
create trigger login_password after update on login for each row when (old.password_hash <> new.password_hash)
    execute function end_tokens_of_login();

-- And those that a reseller got with its key inside of tenants.
create function end_tokens_of_key() returns trigger language plpgsql as $$
begin
    insert into ended_token (tenant, subject) values ('*', 'key/' || old.id);
    if old.reseller <> '' then
        insert into ended_token (tenant, subject) values ('*', 'reseller/' || old.reseller || '/key/' || old.id);
    end if;
    return null;
end $$;
create trigger api_key_gone after delete on api_key for each row execute function end_tokens_of_key();
