"""Settings of the cdr service."""

from pydantic import Field

from carillon_kit.settings import ServiceSettings


class CdrSettings(ServiceSettings):
    """Environment variables `CARILLON_<FIELD>`."""

    #: Seconds a statement of the ledger may take.
    ledger_timeout_seconds: float = 10.0
    #: Seconds after which the events of a killed process are handled by another.
    ack_wait_seconds: float = 5.0
    #: How long the configuration may take to be read at the start.
    catch_up_seconds: float = 60.0
    #: Connections to Postgres.
    postgres_connections: int = 8
    #: Recordings whose policy does not say otherwise are deleted after so many days; how often that is looked at.
    recording_retention_days: int = Field(default=90, ge=1, le=3650)
    retention_check_seconds: float = Field(default=60.0, gt=0)
