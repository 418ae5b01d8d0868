"""What a call's events mean: the entries of the ledger and the record that is folded from them. Pure."""
