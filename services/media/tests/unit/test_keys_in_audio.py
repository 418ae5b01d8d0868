"""Keys in the audio of who cannot tell them otherwise: when the plane listens for them, and that each counts once."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from carillon_kit.clock import ManualClock
from carillon_media.domain.key_memory import MOST_UNPAIRED, after_a_kill
from carillon_media.domain.media import LegMedia
from carillon_media.domain.media_sources import MediaSources
from carillon_media.handlers.legs import LegIo, MediaPorts, key_counts
from carillon_rtp.protocol import NoCoder
from carillon_rtp.values import MediaAddress, Remote, Restored
from carillon_sip.flow import Flow

pytestmark = pytest.mark.feature("M-7")
IN_BAND = Remote("192.0.2.1", 4000)
EVENTS = replace(IN_BAND, telephone_event=101)


class Plane:
    """Remembers what each session is listened to for."""

    ip_versions = (4,)

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.relays = False

    async def set_remote(self, session: str, remote: Remote) -> None:
        assert session == "c/a"

    async def restore(self, sessions: Sequence[Restored], bridges: Sequence[tuple[str, str]] = ()) -> list[MediaAddress]:
        return [MediaAddress("192.0.2.9", each.port or 0) for each in sessions]

    async def detect(self, session: str, tones: Sequence[str]) -> None:
        self.asked.append(tuple(tones))
        if self.relays and tones:
            raise NoCoder("no_coder", "G729")


def leg_of(remote: Remote) -> LegIo:
    media = LegMedia("192.0.2.9", 5000, 1, remote=remote)
    return LegIo("a", "s", Flow("udp", ("192.0.2.9", 5060), ("192.0.2.1", 5060)), "c/a", media=media)


def agreed(leg: LegIo, remote: Remote) -> None:
    assert leg.media is not None
    leg.media = replace(leg.media, remote=remote)


@pytest.fixture
def plane() -> Plane:
    return Plane()


@pytest.fixture
def ports(plane: Plane) -> MediaPorts:
    fake: Any = plane
    return MediaPorts(fake, ManualClock(datetime(2026, 3, 2, 9, tzinfo=UTC)), "off", MediaSources())


async def test_keys_are_listened_for_only_where_no_events_are_agreed(plane: Plane, ports: MediaPorts) -> None:
    await ports.tell(leg_of(EVENTS))
    assert plane.asked == []
    await ports.tell(leg_of(IN_BAND))
    assert plane.asked == [("dtmf",)]


async def test_what_is_listened_for_follows_what_is_agreed_anew(plane: Plane, ports: MediaPorts) -> None:
    leg = leg_of(IN_BAND)
    for remote in (IN_BAND, EVENTS, replace(EVENTS, port=4002), IN_BAND):
        agreed(leg, remote)
        await ports.tell(leg)
    assert plane.asked == [("dtmf",), (), ("dtmf",)]


async def test_after_the_tones_of_a_trunk_its_keys_are_still_listened_for(plane: Plane, ports: MediaPorts) -> None:
    leg = leg_of(IN_BAND)
    await ports.listen(leg, ("cng",))
    await ports.tell(leg)
    await ports.listen(leg, ())
    assert plane.asked == [("cng",), ("dtmf", "cng"), ("dtmf",)]


async def test_joined_legs_and_a_new_plane_are_listened_to_as_well(plane: Plane, ports: MediaPorts) -> None:
    leg, other = leg_of(IN_BAND), leg_of(EVENTS)
    other.leg_id, other.plane = "b1", "c/b1"
    await ports.join(leg, other)
    assert plane.asked == [("dtmf",)]
    await ports.restore([leg, other])
    assert plane.asked == [("dtmf",)] * 2


async def test_a_codec_that_is_only_relayed_is_tried_again_when_another_is_agreed(plane: Plane, ports: MediaPorts) -> None:
    leg, plane.relays = leg_of(IN_BAND), True
    await ports.tell(leg)
    plane.relays = False
    agreed(leg, replace(IN_BAND, port=4002))
    await ports.tell(leg)
    assert plane.asked == [("dtmf",)] * 2
    assert leg.listening == ("dtmf",)


def told(remote: Remote) -> LegIo:
    leg = leg_of(remote)
    leg.told = remote
    return leg


def test_a_key_that_is_in_the_audio_and_in_an_info_counts_once() -> None:
    leg = told(IN_BAND)
    assert key_counts(leg, "5", 10.0, by_info=False)
    assert not key_counts(leg, "5", 10.2, by_info=True)
    assert key_counts(leg, "5", 11.0, by_info=True)
    assert not key_counts(leg, "5", 11.1, by_info=False)
    assert key_counts(leg, "5", 11.4, by_info=True)


def test_a_key_by_info_is_not_the_one_heard_before_another_or_long_ago() -> None:
    for digit, at in (("6", 10.2), ("5", 12.0)):
        leg = told(IN_BAND)
        assert key_counts(leg, "5", 10.0, by_info=False)
        assert key_counts(leg, digit, at, by_info=True)


@pytest.mark.parametrize("first", [False, True])
def test_beside_telephone_events_a_key_that_comes_by_info_as_well_is_one(first: bool) -> None:
    leg = told(EVENTS)
    counted = [key_counts(leg, "5", at, by_info=by_info) for at in (10.0, 10.4, 10.8) for by_info in (first, not first)]
    assert counted == [True, False] * 3
    assert key_counts(None, "5", 10.0, by_info=True)


def test_beside_telephone_events_a_key_that_is_held_for_long_is_one_as_well() -> None:
    """An event is known when the key is let go."""
    leg = told(EVENTS)
    assert key_counts(leg, "5", 10.0, by_info=True)
    assert not key_counts(leg, "5", 13.0, by_info=False, held=3.0)
    assert key_counts(leg, "5", 20.0, by_info=False, held=3.0)
    assert not key_counts(leg, "5", 20.1, by_info=True)


def test_beside_telephone_events_a_flood_of_keys_is_not_remembered() -> None:
    leg = told(EVENTS)
    assert all(key_counts(leg, "5", 10.0, by_info=True) for _ in range(1000))
    assert len(leg.keys.unpaired) <= MOST_UNPAIRED + 1


def test_beside_telephone_events_every_key_of_one_kind_counts() -> None:
    for by_info in (False, True):
        leg = told(EVENTS)
        assert all(key_counts(leg, digit, 10 + at / 10, by_info=by_info) for at, digit in enumerate("5556"))
        assert key_counts(leg, "5", 12.0, by_info=not by_info)


@pytest.mark.feature("M-13")
@pytest.mark.parametrize(("remote", "first"), [(EVENTS, False), (EVENTS, True), (IN_BAND, False)])
def test_a_key_that_a_phone_tells_in_the_other_kind_after_a_kill_is_the_same_key(remote: Remote, first: bool) -> None:
    """An INFO that nobody answered is sent again up to four seconds later; a key long before the kill is none of these."""
    for died, same in ((10.5, True), (20.0, False)):
        leg = told(remote)
        assert key_counts(leg, "5", 10.0, by_info=first)
        leg.keys = after_a_kill(leg.keys, died, died + 2)
        assert key_counts(leg, "5", died + 5, by_info=not first) is not same


@pytest.mark.feature("M-13")
def test_whose_keys_are_in_the_audio_and_in_infos_is_known_after_a_kill() -> None:
    leg = told(IN_BAND)
    assert key_counts(leg, "5", 10.0, by_info=True)
    leg.keys = after_a_kill(leg.keys, 20.0, 22.0)
    assert not key_counts(leg, "5", 30.0, by_info=False)
    assert key_counts(leg, "5", 30.1, by_info=True)
