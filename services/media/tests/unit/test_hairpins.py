"""Sessions that are each other's far end: who is told of whom, and when."""

from typing import Any, cast

import pytest

from carillon_media.adapters.guarded_plane import GuardedPlane
from carillon_media.domain.addresses import Addresses, Reach
from carillon_rtp.client import PlaneClient, RefusedTarget
from carillon_rtp.protocol import PlaneUnavailable
from carillon_rtp.values import MediaAddress, Remote, Restored, SessionState

pytestmark = pytest.mark.feature("R-23", "M-4")
IP, STRANGER = "192.0.2.1", "203.0.113.9"
PORTS = range(10_000, 11_000)


class Plane:
    """What it was told of each session's far end, as (IP, port, sends)."""

    def __init__(self) -> None:
        self.told: dict[str, tuple[str, int, bool]] = {}
        self.states: list[SessionState] = []
        self.stuck = False

    async def open(self, session: str, *, port: int | None = None, **_: Any) -> MediaAddress:
        return MediaAddress(IP, port or 0)

    async def set_remote(self, session: str, remote: Remote) -> None:
        if self.stuck:
            raise PlaneUnavailable("unavailable", "no answer")
        self.told[session] = remote.ip, remote.port, remote.send

    async def restore(self, sessions: list[Restored], bridges: Any) -> list[MediaAddress]:
        for each in sessions:
            if each.remote is not None:
                await self.set_remote(each.session, each.remote)
        return [MediaAddress(IP, each.port) for each in sessions]

    async def close(self, session: str) -> None:
        self.told.pop(session, None)

    async def close_all(self, sessions: list[str]) -> None:
        for session in sessions:
            await self.close(session)

    async def list_sessions(self) -> list[SessionState]:
        return self.states


def remote(port: int, ip: str = IP, rtcp_port: int | None = None) -> Remote:
    return Remote(ip, port, "PCMA", rtcp_port=rtcp_port)


async def node(*sessions: tuple[str, int]) -> tuple[GuardedPlane, Plane]:
    plane = Plane()
    guarded = GuardedPlane(cast(PlaneClient, plane), Addresses(Reach(loopback=False)), PORTS)
    for session, port in sessions:
        await guarded.open(session, port=port)
    return guarded, plane


BOTH = ("one/b1", 10_000), ("two/a", 10_002)
JOINED = {"one/b1": (IP, 10_002, True), "two/a": (IP, 10_000, True)}


async def test_both_must_have_named_each_other() -> None:
    guarded, plane = await node(*BOTH)
    await guarded.set_remote("two/a", remote(10_000))
    assert plane.told == {}
    await guarded.set_remote("one/b1", remote(10_002))
    assert plane.told == JOINED
    await guarded.set_remote("one/b1", remote(10_002))
    assert plane.told == JOINED


async def test_the_same_by_one_command_as_legs_are_joined() -> None:
    guarded, plane = await node(*BOTH)
    await guarded.restore([Restored("two/a", 10_002, remote(10_000)), Restored("two/b1", 10_004, remote(40_000, STRANGER))])
    assert plane.told == {"two/b1": (STRANGER, 40_000, True)}
    await guarded.restore([Restored("one/b1", 10_000, remote(10_002))])
    assert {name: plane.told[name] for name in JOINED} == JOINED


@pytest.mark.parametrize(
    ("session", "far"),
    [
        ("two/a", remote(10_006)),  # no session has the port
        ("two/a", remote(10_002)),  # its own
        ("one/a", remote(10_000)),  # its own call's
        ("two/a", remote(10_000, rtcp_port=10_004)),  # another session's port for reports
        ("two/a", remote(10_008)),  # that speaks with somebody else
    ],
)
async def test_everything_else_of_ours_is_refused(session: str, far: Remote) -> None:
    guarded, plane = await node(*BOTH, ("one/a", 10_004), ("three/a", 10_008))
    await guarded.set_remote("three/a", remote(40_000, STRANGER))
    for _ in range(2):
        with pytest.raises(RefusedTarget):
            await guarded.set_remote(session, far)
    assert plane.told.keys() == {"three/a"}


async def test_who_claims_another_s_port_is_never_heard() -> None:
    guarded, plane = await node(*BOTH)
    await guarded.set_remote("two/a", remote(10_000))
    await guarded.set_remote("one/b1", remote(40_000, STRANGER))
    assert plane.told == {"one/b1": (STRANGER, 40_000, True)}
    with pytest.raises(RefusedTarget):
        await guarded.set_remote("two/a", remote(10_000))


async def test_who_names_another_far_end_or_ends_leaves_the_other_silent() -> None:
    for ends in (True, False):
        guarded, plane = await node(*BOTH)
        await guarded.set_remote("two/a", remote(10_000))
        await guarded.set_remote("one/b1", remote(10_002))
        if ends:
            await guarded.close("one/b1")
            await guarded.open("four/a", port=10_000)
        else:
            await guarded.set_remote("one/b1", remote(40_000, STRANGER))
        assert plane.told["two/a"] == (IP, 10_000, False)


async def test_one_that_ends_is_closed_even_if_the_other_cannot_be_told() -> None:
    for whole in (True, False):
        guarded, plane = await node(*BOTH)
        await guarded.set_remote("two/a", remote(10_000))
        await guarded.set_remote("one/b1", remote(10_002))
        plane.stuck = True
        with pytest.raises(PlaneUnavailable):
            await (guarded.close_all(["one/b1", "one/a"]) if whole else guarded.close("one/b1"))
        assert plane.told == {"two/a": (IP, 10_000, True)}


async def test_one_that_had_another_far_end_is_silent_until_it_is_named() -> None:
    guarded, plane = await node(*BOTH)
    await guarded.set_remote("two/a", remote(40_000, STRANGER))
    await guarded.set_remote("two/a", remote(10_000))
    assert plane.told == {"two/a": (STRANGER, 40_000, False)}
    await guarded.set_remote("one/b1", remote(10_002))
    assert plane.told == JOINED


async def test_pairs_of_a_process_before_are_known() -> None:
    guarded, plane = await node()
    plane.states = [
        SessionState(name, MediaAddress(IP, port), remote(far), None, None, None, None)
        for name, port, far in (("one/b1", 10_000, 10_002), ("two/a", 10_002, 10_000))
    ]
    await guarded.list_sessions()
    await guarded.close("two/a")
    assert plane.told == {"one/b1": (IP, 10_002, False)}
