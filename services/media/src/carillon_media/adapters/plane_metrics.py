"""The media plane's statistics as OpenTelemetry metrics.

Invariant: nothing is asked of the plane where nothing is measured; while it does not answer nothing is told of it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import asdict

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from carillon_rtp.protocol import PlaneError
from carillon_rtp.values import PlaneStatistics

#: Between two looks.
SECONDS = 10.0
Read = Callable[[PlaneStatistics], Iterable[Observation]]


def _by(name: str, values: Mapping[str, int]) -> list[Observation]:
    return [Observation(value, {name: key}) for key, value in values.items()]


def _ports(told: PlaneStatistics) -> list[Observation]:
    return _by("state", {"free": told.ports_free, "used": told.ports_total - told.ports_free})


def _ticks(told: PlaneStatistics) -> list[Observation]:
    return _by("late", {"no": told.ticks - told.late_ticks, "yes": told.late_ticks})


#: What is there now: unit, description, values.
_GAUGES: Mapping[str, tuple[str, str, Read]] = {
    "sessions": ("{session}", "media ports of legs", lambda told: [Observation(told.sessions)]),
    "rooms": ("{room}", "rooms that are mixed", lambda told: [Observation(told.rooms)]),
    "ports": ("{pair}", "pairs of ports by state", _ports),
    "load": ("1", "of one core, by the busiest packet thread", lambda told: [Observation(told.load)]),
    "late": ("1", "share of ticks that came late", lambda told: [Observation(told.late)]),
    "refusing": ("1", "1: new sessions are refused", lambda told: [Observation(int(told.refusing))]),
}
#: What only grows while the process lives.
_COUNTERS: Mapping[str, tuple[str, str, Read]] = {
    "packets": ("{packet}", "RTP packets by direction", lambda told: _by("direction", {"in": told.packets_in, "out": told.packets_out})),
    "dropped": ("{packet}", "packets that went nowhere, by reason", lambda told: _by("reason", asdict(told.dropped))),
    "refused": ("{command}", "commands that were refused, by reason", lambda told: _by("reason", told.refused)),
    "ticks": ("{tick}", "turns of the timer, by whether they were late", _ticks),
    "cpu": ("s", "processor time of the packet threads", lambda told: [Observation(told.cpu_ms / 1000)]),
    "events_lost": ("{event}", "reports that signalling was too slow to take", lambda told: [Observation(told.events_lost)]),
    "recording_overruns": ("{piece}", "pieces of recordings lost to a slow disk", lambda told: [Observation(told.recording_overruns)]),
}


class PlaneMetrics:
    """Instruments named `carillon.media_plane.*`."""

    def __init__(self, meter: Meter, ask: Callable[[], Awaitable[PlaneStatistics]]) -> None:
        self._ask = ask
        self._told: PlaneStatistics | None = None
        for name, (unit, description, read) in _GAUGES.items():
            meter.create_observable_gauge(f"carillon.media_plane.{name}", [self._reader(read)], unit, description)
        for name, (unit, description, read) in _COUNTERS.items():
            meter.create_observable_counter(f"carillon.media_plane.{name}", [self._reader(read)], unit, description)

    async def look(self) -> None:
        """What is told until the next look."""
        try:
            self._told = await self._ask()
        except PlaneError:
            self._told = None

    async def run(self) -> None:
        """For ever."""
        while True:
            await self.look()
            await asyncio.sleep(SECONDS)

    def _reader(self, read: Read) -> Callable[[CallbackOptions], Iterator[Observation]]:
        def observe(_options: CallbackOptions) -> Iterator[Observation]:
            told = self._told  # of the loop's thread; the exporter's reads it once
            return iter(()) if told is None else iter(read(told))

        return observe
