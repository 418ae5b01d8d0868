"""Routing's settings. Without a database there are no queues: everything else comes from stream CONFIG."""

from pathlib import Path

from pydantic import Field

from carillon_kit.settings import ServiceSettings


class RoutingSettings(ServiceSettings):
    """`CARILLON_*`; see `ServiceSettings` for the common ones."""

    #: Test clock for what schedules say (`carillon_kit.clock.FileClock`); absent in production.
    clock_file: Path | None = None
    #: How long the fold of all configurations may take at the start, seconds.
    catch_up_seconds: float = 60
    #: How long the start waits for the database of the queues; calls that need no queue do without.
    queues_up_seconds: float = 5
    #: Directory's and cdr's `host:port`, for what users change and call back by code; empty: neither is possible.
    directory: str = ""
    cdr: str = ""
    #: Media's `host:port`, for calling back who waited in a queue; empty: callers are not called back.
    media: str = ""
    #: Networks inside which web-hooks may reach, `10.0.5.0/24, 10.0.6.7/32`; otherwise only the public Internet.
    webhook_networks: str = ""
    #: How many processes follow past calls when a draft is compared, at most; 0: as many as there are cores, at most 4.
    compare_processes: int = Field(0, ge=0, le=64)
