"""Erasing a person from a tenant's configuration and from its whole log."""
