"""Embedded servers for the kit's own tests."""

from carillon_kit.testing import nats_server, nats_url, postgres_dsn

__all__ = ["nats_server", "nats_url", "postgres_dsn"]
