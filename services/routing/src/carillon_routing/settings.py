"""Routing's settings. No database: all it knows comes from stream CONFIG."""

from pathlib import Path

from carillon_kit.settings import ServiceSettings


class RoutingSettings(ServiceSettings):
    """`CARILLON_*`; see `ServiceSettings` for the common ones."""

    #: Test clock for what schedules say (`carillon_kit.clock.FileClock`); absent in production.
    clock_file: Path | None = None
    #: How long the fold of all configurations may take at the start, seconds.
    catch_up_seconds: float = 60
