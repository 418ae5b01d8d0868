-- When the letter with the code was sent: who asks for another at once is sent none, so that the code of the first stays good.
alter table invitation add column sent_at timestamptz not null default '-infinity';
