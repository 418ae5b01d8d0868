"""RTCP XR (RFC 3611): written where the far end wants it, of what was lost and how; read into the statistics."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from carillon_rtp.client import PlaneClient, Remote, Statistics
from carillon_rtp.testing import Report, RtcpEndpoint, RtpEndpoint, plane_process, rtcp_endpoint, rtp_endpoint, tone
from carillon_rtp.values import ExtendedReport, MediaAddress

pytestmark = pytest.mark.feature("M-7")
SUMMARY, VOIP = 6, 7
UNAVAILABLE = 127


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[PlaneClient]:
    async with plane_process(tmp_path, "--report", "0.04") as plane:
        client = await PlaneClient.connect(plane.socket, within=30)
        yield client
        await client.disconnect()


@pytest.fixture
async def rtp() -> AsyncIterator[RtpEndpoint]:
    async with rtp_endpoint() as endpoint:
        yield endpoint


@pytest.fixture
async def rtcp() -> AsyncIterator[RtcpEndpoint]:
    async with rtcp_endpoint() as endpoint:
        yield endpoint


def blocks(extended: bytes) -> dict[int, bytes]:
    """By type, without their headers (section 3)."""
    head, kind, length = struct.unpack_from("!BBH", extended)
    assert (head, kind, 4 * (length + 1)) == (0x80, 207, len(extended))
    found, at = {}, 8
    while at < len(extended):
        size = 4 * (struct.unpack_from("!H", extended, at + 2)[0] + 1)
        found[extended[at]] = extended[at + 4 : at + size]
        at += size
    assert at == len(extended)
    return found


async def statistics(client: PlaneClient, condition: Callable[[Statistics], bool]) -> Statistics:
    async with asyncio.timeout(20):
        while not condition(found := await client.session_statistics("x")):
            await asyncio.sleep(0.01)
    return found


async def call(
    client: PlaneClient, rtp: RtpEndpoint, rtcp: RtcpEndpoint, lost: set[int], *, xr_summary: bool = False, xr_voip: bool = False
) -> MediaAddress:
    """Sixty packets of which some do not come."""
    address, here = await client.open("x"), rtp.address
    await client.set_remote("x", Remote(here.ip, here.port, rtcp_port=rtcp.port, xr_summary=xr_summary, xr_voip=xr_voip))
    for number in range(60):
        packet = rtp.packet(tone(425, 20, "PCMA"), 8)
        if number not in lost:
            rtp.send_bytes(packet, address)
    await statistics(client, lambda found: found.packets_in == 60 - len(lost))
    return address


async def test_a_burst_and_a_single_loss_are_told_apart(client: PlaneClient, rtp: RtpEndpoint, rtcp: RtcpEndpoint) -> None:
    """Two near each other are a burst, one that stands alone is in a gap (section 4.7.2)."""
    await call(client, rtp, rtcp, {20, 22, 45}, xr_summary=True, xr_voip=True)
    last = (rtp.sequence - 1) % 65536
    report = await rtcp.wait_for(lambda report: report.highest % 65536 == last and bool(report.extended))
    about, *rates = struct.unpack_from("!I4B", blocks(report.extended)[VOIP])
    loss, discard, burst_density, gap_density = rates
    assert about == rtp.ssrc
    assert (loss, discard) == (3 * 256 // 60, 0)
    assert burst_density > 60 > gap_density
    burst_ms, gap_ms = struct.unpack_from("!2H", blocks(report.extended)[VOIP], 8)
    assert 0 < burst_ms < gap_ms
    levels = blocks(report.extended)[VOIP][16:24]
    assert levels[:4] == bytes([UNAVAILABLE] * 3 + [16])
    assert 70 < levels[4] < 93, "R"
    assert 36 <= levels[6] <= 44, "MOS, ten times"
    lost = [struct.unpack("!I2H7I", blocks(each.extended)[SUMMARY]) for each in rtcp.received if each.extended]
    assert sum(each[3] for each in lost) == 3
    assert lost[0][1] == report.highest % 65536 - 59 or len(lost) > 1


async def test_nothing_is_written_to_who_does_not_want_it(client: PlaneClient, rtp: RtpEndpoint, rtcp: RtcpEndpoint) -> None:
    await call(client, rtp, rtcp, {20}, xr_voip=True)
    some = await rtcp.wait_for(lambda report: bool(report.extended))
    assert set(blocks(some.extended)) == {VOIP}
    here = rtp.address
    await client.set_remote("x", Remote(here.ip, here.port, rtcp_port=rtcp.port))
    rtcp.received.clear()
    rtp.send_bytes(rtp.packet(tone(425, 20, "PCMA"), 8), await client.open("x"))
    last = (rtp.sequence - 1) % 65536
    assert (await rtcp.wait_for(lambda report: report.highest % 65536 == last)).extended == b""


async def test_what_the_far_end_says_is_in_the_statistics(client: PlaneClient, rtp: RtpEndpoint, rtcp: RtcpEndpoint) -> None:
    address = await call(client, rtp, rtcp, set())
    ours = (await rtcp.wait_for(lambda report: bool(report.cname))).ssrc
    figures = (26, 13, 128, 2, 60, 4000, 40, 35, UNAVAILABLE, UNAVAILABLE, UNAVAILABLE, 16, 81, UNAVAILABLE, 41, UNAVAILABLE)
    voip = struct.pack("!BBHI4B4H8B", VOIP, 0, 8, ours, *figures) + struct.pack("!BB3H", 0x30, 0, 60, 80, 120)
    summary = struct.pack("!BBHI2H7I", SUMMARY, 0xE0, 9, ours, 1, 50, 3, 2, 8, 160, 24, 9, 0)
    strange = struct.pack("!BBHI", 99, 0, 1, ours) + struct.pack("!BBHI", VOIP, 0, 8, ours + 1) + bytes(32)
    body = strange + voip + summary
    extended = struct.pack("!BBHI", 0x80, 207, 1 + len(body) // 4, rtp.ssrc) + body
    rtcp.send(Report(201, rtp.ssrc, about=ours, extended=extended), address)
    found = await statistics(client, lambda found: found.extended is not None)
    assert found.extended == ExtendedReport(
        loss_fraction=26 / 256,
        discard_fraction=13 / 256,
        burst_density=0.5,
        gap_density=2 / 256,
        burst_ms=60,
        gap_ms=4000,
        end_system_ms=35,
        buffer_ms=60,
        r_factor=81,
        mos_lq=4.1,
        mos_cq=None,
        lost=3,
        duplicates=2,
        jitter_least_ms=1.0,
        jitter_mean_ms=3.0,
        jitter_most_ms=20.0,
    )
