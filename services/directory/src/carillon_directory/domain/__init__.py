"""What may change in a tenant's configuration, and what refuses it: pure decisions over `TenantConfig`.

Nothing here reads a clock, makes an identifier or does I/O; `decide` may refuse, `carillon_contracts.tenant_config.evolve` never does.
"""
