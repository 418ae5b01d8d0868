-- Subscriptions are kept in a file of their node; nothing was ever written here.
drop table subscription;
