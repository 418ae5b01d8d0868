-- Of many tenants those that hold what begins with some digits; the operator's database need not sort as C does.
create index claim_value on claim (value text_pattern_ops);
