"""Settings of the cdr service."""

from carillon_kit.settings import ServiceSettings


class CdrSettings(ServiceSettings):
    """Environment variables `CARILLON_<FIELD>`."""

    #: Seconds a statement of the ledger may take.
    ledger_timeout_seconds: float = 10.0
    #: Seconds after which the events of a killed process are handled by another.
    ack_wait_seconds: float = 5.0
    #: Connections to Postgres.
    postgres_connections: int = 8
