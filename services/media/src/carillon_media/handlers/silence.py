"""Dead far ends: a leg that should be heard and was not for long has left.

Invariant: a call with a leg on hold is left alone; a leg that never sent anything counts from its first check.
"""

from carillon_kit.clock import Clock
from carillon_kit.logs import get_logger
from carillon_media.domain import inputs
from carillon_media.domain.state import Talking
from carillon_media.handlers.actor import CallActor
from carillon_media.handlers.legs import LegIo
from carillon_media.handlers.switchboard import Switchboard
from carillon_media.ports import PlanePort
from carillon_rtp.protocol import PlaneError

_log = get_logger(__name__)


class SilenceWatch:
    """`look` once in a while; `seconds` of silence end a leg."""

    def __init__(self, board: Switchboard, plane: PlanePort, clock: Clock, seconds: float) -> None:
        self._board = board
        self._plane = plane
        self._clock = clock
        self._seconds = seconds
        self._mute_since: dict[str, float] = {}

    async def look(self) -> None:
        """Ask the plane about every leg of every call that talks."""
        seen: set[str] = set()
        for actor in tuple(self._board.calls.values()):
            if not isinstance(actor.call.state.phase, Talking) or any(leg.held for leg in actor.call.legs.values()):
                continue
            for leg in tuple(actor.legs.values()):
                if leg.media is not None and leg.media.remote is not None and leg.media.remote.receive and leg.bridged_with:
                    seen.add(leg.plane)
                    await self._check(actor, leg)
        self._mute_since = {name: since for name, since in self._mute_since.items() if name in seen}

    async def _check(self, actor: CallActor, leg: LegIo) -> None:
        try:
            age_ms = (await self._plane.session_statistics(leg.plane)).last_packet_ms
        except PlaneError:
            return
        now = self._clock.monotonic()
        silent = now - self._mute_since.setdefault(leg.plane, now) if age_ms is None else age_ms / 1000
        if silent > self._seconds:
            _log.warning("a leg is silent", call_id=actor.call.facts.call_id, leg_id=leg.leg_id, seconds=round(silent))
            actor.post(inputs.LegLeft(leg.leg_id, "media"))
