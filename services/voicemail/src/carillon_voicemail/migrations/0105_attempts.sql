-- Which try was counted last: a question that media asks again counts once.
alter table conference_tries add column attempt text not null default '';
