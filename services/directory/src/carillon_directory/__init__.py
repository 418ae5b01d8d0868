"""The directory: who and what exists in a tenant, as one log of changes each."""
