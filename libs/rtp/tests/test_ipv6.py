"""Streams over IPv6, and calls with one end on each IP version: relayed, their sources locked, nothing sent where nothing may be sent."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from carillon_rtp.client import BadRequest, PlaneClient, PlaneRestarted, RefusedTarget, Remote, SourceLocked, Statistics
from carillon_rtp.testing import PlaneProcess, plane_process, rtcp_endpoint, rtp_endpoint, tone
from carillon_rtp.values import Restored

pytestmark = pytest.mark.feature("M-7")
E = TypeVar("E")
AUDIO = tone(440, 20, "PCMA")


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[PlaneProcess]:
    refused = ("--refuse", "fc00::/7", "--refuse", "10.0.0.0/8")
    async with plane_process(tmp_path, "--listen-ip6", "::1", "--report", "0.04", *refused) as process:
        yield process


@pytest.fixture
async def client(plane: PlaneProcess) -> AsyncIterator[PlaneClient]:
    client = await PlaneClient.connect(plane.socket, deadline=20, within=30)
    yield client
    await client.disconnect()


async def told(client: PlaneClient, kind: type[E]) -> E:
    """The next event of a kind."""
    async with asyncio.timeout(20):
        async for event in client.events():
            if isinstance(event, kind):
                return event
    raise AssertionError("the events ended")


async def until(client: PlaneClient, condition: Callable[[Statistics], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition(await client.session_statistics("x")):
            await asyncio.sleep(0.01)


@needs_ipv6
async def test_one_end_on_each_version_hear_each_other_and_no_stranger_is_heard(client: PlaneClient) -> None:
    six, four = await client.open("six", ip_version=6), await client.open("four")
    assert (six.ip, four.ip, tuple(client.ip_versions)) == ("::1", "127.0.0.1", (4, 6))
    async with rtp_endpoint("::1") as a, rtp_endpoint() as b, rtp_endpoint("::1") as stranger, rtcp_endpoint("::1") as reports:
        await client.set_remote("six", Remote(a.address.ip, a.address.port, rtcp_port=reports.port))
        await client.set_remote("four", Remote(b.address.ip, b.address.port))
        await client.bridge("six", "four")
        a.send_audio(AUDIO, "PCMA", six)
        assert (await b.wait_for(1))[0].payload == AUDIO
        stranger.send_audio(tone(700, 20, "PCMA"), "PCMA", six)
        b.send_audio(AUDIO, "PCMA", four)
        heard = await a.wait_for(1)
        assert (heard[0].payload, heard[0].source) == (AUDIO, (six.ip, six.port))
        a.send_audio(AUDIO, "PCMA", six)
        await b.wait_for(2)
        assert {packet.payload for packet in b.received} == {AUDIO}
        assert stranger.received == []
        await reports.wait_for(lambda report: report.about == a.ssrc)
        state = {state.session: state for state in await client.list_sessions()}
        assert state["six"].source == a.address
        locked = await told(client, SourceLocked)
        assert (locked.session, locked.ip, locked.port) == ("six", a.address.ip, a.address.port)


@needs_ipv6
async def test_a_phone_behind_another_address_is_heard_from_the_named_networks(client: PlaneClient) -> None:
    """A description of an address that nobody sees; SIP came from ::1."""
    here = await client.open("x", ip_version=6)
    async with rtp_endpoint("::1") as phone:
        await client.set_remote("x", Remote("2001:db8::7", 4000, sources=("::1",)))
        for _ in range(3):
            phone.send_audio(AUDIO, "PCMA", here)
        await until(client, lambda found: found.packets_in >= 3)
        assert (await client.session_statistics("x")).dropped.source == 0
        await client.set_remote("x", Remote("2001:db8::7", 4001, sources=("2001:db8:1::/48", "127.0.0.1")))
        phone.send_audio(AUDIO, "PCMA", here)
        await until(client, lambda found: found.dropped.source > 0)


@needs_ipv6
@pytest.mark.parametrize(
    "target", ["fe80::1", "ff02::1", "::", "::127.0.0.1", "fec0::1", "fd00::1", "64:ff9b::a00:1", "64:ff9b::e000:1", "2001:db8::1%eth0"]
)
async def test_nothing_is_sent_where_nothing_may_be_sent(client: PlaneClient, target: str) -> None:
    await client.open("x", ip_version=6)
    with pytest.raises((RefusedTarget, BadRequest)):
        await client.set_remote("x", Remote(target, 4000))


@needs_ipv6
async def test_a_far_end_of_the_other_version_is_refused(client: PlaneClient) -> None:
    await client.open("six", ip_version=6)
    await client.open("four")
    for session, ip in (("six", "127.0.0.1"), ("six", "::ffff:127.0.0.1"), ("four", "::1")):
        with pytest.raises(BadRequest, match="IP version"):
            await client.set_remote(session, Remote(ip, 4000))


@needs_ipv6
async def test_loopback_may_be_forbidden(tmp_path: Path) -> None:
    async with plane_process(tmp_path, "--listen-ip6", "::1", "--no-loopback") as plane:
        client = await PlaneClient.connect(plane.socket, within=30)
        await client.open("x", ip_version=6)
        with pytest.raises(RefusedTarget):
            await client.set_remote("x", Remote("::1", 4000))
        await client.disconnect()


async def test_a_plane_without_an_ipv6_address_says_so(tmp_path: Path) -> None:
    async with plane_process(tmp_path) as plane:
        client = await PlaneClient.connect(plane.socket, within=30)
        assert tuple(client.ip_versions) == (4,)
        with pytest.raises(BadRequest, match="ip_version"):
            await client.open("x", ip_version=6)
        await client.disconnect()


@needs_ipv6
async def test_a_session_is_taken_up_again_after_the_death_of_the_plane(plane: PlaneProcess, client: PlaneClient) -> None:
    here = await client.open("x", ip_version=6)
    async with rtp_endpoint("::1") as phone:
        remote = Remote(phone.address.ip, phone.address.port)
        await client.set_remote("x", remote)
        await plane.end(signal.SIGKILL)
        await plane.start()
        await told(client, PlaneRestarted)
        assert await client.restore([Restored("x", here.port, remote, 6)]) == [here]
        phone.send_audio(AUDIO, "PCMA", here)
        await until(client, lambda found: found.packets_in > 0)
