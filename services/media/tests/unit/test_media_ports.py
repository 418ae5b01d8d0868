"""What the media plane knows of far ends, when they say something new while it is told."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from carillon_kit.clock import ManualClock
from carillon_media.domain.media import LegMedia
from carillon_media.domain.media_sources import MediaSources
from carillon_media.handlers.legs import LegIo, MediaPorts
from carillon_rtp.values import MediaAddress, Remote, Restored
from carillon_sip.flow import Flow

pytestmark = pytest.mark.feature("M-7")
REMOTE = Remote("192.0.2.1", 4000, telephone_event=101)


class Plane:
    """While it is set up, the phone of `leg` moves its audio."""

    ip_versions = (4,)

    def __init__(self, leg: LegIo) -> None:
        self.leg = leg
        self.ports: list[int] = []

    async def restore(self, sessions: Sequence[Restored], bridges: Sequence[tuple[str, str]] = ()) -> list[MediaAddress]:
        self.ports += [each.remote.port for each in sessions if each.remote is not None]
        assert self.leg.media is not None
        self.leg.media = replace(self.leg.media, remote=replace(REMOTE, port=4002))
        return [MediaAddress("192.0.2.9", each.port or 0) for each in sessions]

    async def set_remote(self, session: str, remote: Remote) -> None:
        self.ports.append(remote.port)


async def test_a_phone_that_moves_its_audio_while_the_plane_is_set_up_anew_is_followed() -> None:
    media = LegMedia("192.0.2.9", 5000, 1, remote=REMOTE)
    leg = LegIo("a", "s", Flow("udp", ("192.0.2.9", 5060), ("192.0.2.1", 5060)), "c/a", media=media)
    plane: Any = Plane(leg)
    ports = MediaPorts(plane, ManualClock(datetime(2026, 3, 2, 9, tzinfo=UTC)), "off", MediaSources())
    await ports.restore([leg])
    await ports.tell(leg)
    assert plane.ports == [4000, 4002]
