"""RTCP: reports with the right counters each way, and what the far end says in the statistics of the leg."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest

from carillon_rtp.client import AudioCodec, PlaneClient, Remote, Statistics
from carillon_rtp.testing import Report, RtcpEndpoint, RtpEndpoint, plane_process, rtcp_endpoint, rtp_endpoint, srtp_keys, tone
from carillon_rtp.values import MediaAddress

NTP_EPOCH = 2208988800  # seconds from 1900 to 1970


@dataclass(frozen=True, slots=True)
class Party:
    """A session, and a far end with both its ports."""

    client: PlaneClient
    name: str
    address: MediaAddress
    rtp: RtpEndpoint
    rtcp: RtcpEndpoint

    async def agree(self, **options: object) -> None:
        here = self.rtp.address
        await self.client.set_remote(self.name, Remote(here.ip, here.port, **{"rtcp_port": self.rtcp.port, **options}))  # type: ignore[arg-type]

    async def statistics(self, condition: Callable[[Statistics], bool]) -> Statistics:
        """Once they are so. Raises TimeoutError."""
        async with asyncio.timeout(5):
            while not condition(statistics := await self.client.session_statistics(self.name)):
                pass
        return statistics


MakeParty = Callable[[str], Awaitable[Party]]


@pytest.fixture(scope="module")
async def reporting(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PlaneClient]:
    async with plane_process(tmp_path_factory.mktemp("rtcp"), "--report", "0.04", "--threads", "2") as plane:
        client = await PlaneClient.connect(plane.socket)
        yield client
        await client.disconnect()


@pytest.fixture
async def party(reporting: PlaneClient) -> AsyncIterator[MakeParty]:
    async with AsyncExitStack() as stack:

        async def make(name: str) -> Party:
            address = await reporting.open(name)
            stack.push_async_callback(reporting.close, name)
            rtp, rtcp = await stack.enter_async_context(rtp_endpoint()), await stack.enter_async_context(rtcp_endpoint())
            return Party(reporting, name, address, rtp, rtcp)

        yield make


@pytest.mark.feature("M-7")
async def test_a_sender_is_told_apart_and_its_counters_are_right(reporting: PlaneClient, party: MakeParty) -> None:
    a, b = await party("a1"), await party("b1")
    await a.agree()
    await b.agree()
    await reporting.bridge("a1", "b1")
    packets = [a.rtp.packet(tone(425, 20, "PCMA"), 8) for _ in range(20)]
    for number, packet in enumerate(packets):
        if number not in (5, 6, 7, 11):
            a.rtp.send_bytes(packet, a.address)
    heard = await b.rtp.wait_for(16)
    to_sender = await a.rtcp.wait_for(lambda report: report.highest % 65536 == (a.rtp.sequence - 1) % 65536)
    assert (to_sender.payload_type, to_sender.about, to_sender.lost) == (201, a.rtp.ssrc % 2**32, 4)
    assert sum(report.fraction for report in a.rtcp.received) > 0
    to_hearer = await b.rtcp.wait_for(lambda report: report.packets == 16)
    assert (to_hearer.payload_type, to_hearer.ssrc, to_hearer.octets) == (200, heard[0].ssrc, 16 * 160)
    assert (to_hearer.about, to_hearer.last_sender_report) == (0, 0)
    assert abs((to_hearer.ntp >> 32) - NTP_EPOCH - time.time()) < 5
    assert 0 <= (to_hearer.timestamp - heard[-1].timestamp) % 2**32 < 8000 * 5  # "now" on the stream's clock
    assert len({report.cname for report in b.rtcp.received}) == 1
    assert (await a.statistics(lambda statistics: statistics.reports_out > 0)).loss_fraction == pytest.approx(0.2)
    assert await b.rtcp.wait_for(lambda report: report.payload_type == 201)  # it has nothing new to send


@pytest.mark.feature("M-7")
async def test_the_far_ends_report_gives_round_trip_loss_jitter_and_mos(reporting: PlaneClient, party: MakeParty) -> None:
    a, b = await party("a2"), await party("b2")
    await a.agree()
    await b.agree()
    await reporting.bridge("a2", "b2")
    before = await reporting.session_statistics("b2")
    assert (before.round_trip_ms, before.remote_lost, before.remote_mos, before.mos) == (None, None, None, None)
    a.rtp.send_audio(tone(425, 400, "PCMA"), "PCMA", a.address)
    heard = await b.rtp.wait_for(20)
    report = await b.rtcp.wait_for(lambda report: report.packets == 20)
    arrived = report.ntp >> 16 & 0xFFFFFFFF  # the far end has the same clock, and takes 100 ms off its own delay: a longer way
    now = int((time.time() + NTP_EPOCH) * 65536) & 0xFFFFFFFF
    delay = (now - arrived) % 2**32 - int(0.100 * 65536)
    said = Report(201, 77, about=heard[0].ssrc, fraction=64, lost=5, highest=heard[-1].sequence, jitter=240, last_sender_report=arrived)
    b.rtcp.send(Report(**{**{name: getattr(said, name) for name in Report.__dataclass_fields__}, "delay": delay % 2**32}), b.address)
    statistics = await b.statistics(lambda statistics: statistics.reports_in > 0)
    assert statistics.round_trip_ms is not None
    assert 95 <= statistics.round_trip_ms < 1000
    assert (statistics.remote_lost, statistics.remote_loss_fraction, statistics.remote_jitter_ms) == (5, 0.25, 30.0)
    assert statistics.remote_mos is not None
    assert statistics.remote_mos < 3
    assert (await reporting.close("b2")).remote_lost == 5
    heard_a = await reporting.session_statistics("a2")
    assert heard_a.mos is not None
    assert heard_a.mos > 4


async def test_the_delay_since_a_sender_report_is_told(reporting: PlaneClient, party: MakeParty) -> None:
    a = await party("a3")
    await a.agree()
    a.rtp.send_audio(tone(425, 40, "PCMA"), "PCMA", a.address)
    await a.statistics(lambda statistics: statistics.packets_in == 2)
    a.rtcp.send(Report(200, a.rtp.ssrc, ntp=0x1122334455667788, packets=2), a.address)
    report = await a.rtcp.wait_for(lambda report: report.last_sender_report != 0)
    assert report.last_sender_report == 0x33445566
    assert report.delay < 5 * 65536


async def test_reports_of_others_are_not_heard(reporting: PlaneClient, party: MakeParty) -> None:
    a, b = await party("a4"), await party("b4")
    await a.agree()
    await b.agree()
    await reporting.bridge("a4", "b4")
    a.rtp.send_audio(tone(425, 40, "PCMA"), "PCMA", a.address)
    ssrc = (await b.rtp.wait_for(2))[0].ssrc
    async with rtcp_endpoint("127.0.0.2") as stranger:
        stranger.send(Report(201, 5, about=ssrc, lost=1000, highest=70000), b.address)
        b.rtcp.send(Report(201, 5, about=ssrc + 1, lost=900, highest=70000), b.address)  # about somebody else
        b.rtcp._transport.sendto(b"\x81\xc9\xff\xff" + bytes(40), (b.address.ip, b.address.port + 1))  # type: ignore[union-attr]
        b.rtcp.send(Report(201, 5, about=ssrc, lost=3, highest=70000), b.address)
        assert (await b.statistics(lambda statistics: statistics.remote_lost is not None)).remote_lost == 3


async def test_reports_go_to_the_port_they_come_from(reporting: PlaneClient, party: MakeParty) -> None:
    """Behind a NAT the signalled RTCP port is not the one that can be reached."""
    a = await party("a5")
    await a.agree(rtcp_port=9)
    a.rtp.send_audio(tone(425, 20, "PCMA"), "PCMA", a.address)
    await a.statistics(lambda statistics: statistics.packets_in == 1)
    a.rtcp.send(Report(201, 5), a.address)
    assert (await a.rtcp.wait_for(lambda report: True)).about == a.rtp.ssrc % 2**32


async def test_both_on_one_port(reporting: PlaneClient, party: MakeParty) -> None:
    a, b = await party("a6"), await party("b6")
    await a.agree()
    await b.agree(rtcp_port=b.rtp.address.port)
    await reporting.bridge("a6", "b6")
    a.rtp.send_audio(tone(425, 20, "PCMA"), "PCMA", a.address)
    ssrc = (await b.rtp.wait_for(1))[0].ssrc
    async with asyncio.timeout(30):
        while not b.rtp.control:
            await b.rtp.changed()
    report = Report.parse(b.rtp.control[0])
    assert (report.payload_type, report.ssrc) == (200, ssrc)
    b.rtp.send_bytes(Report(201, 5, about=ssrc, lost=0, highest=1).to_bytes(), b.address)
    statistics = await b.statistics(lambda statistics: statistics.reports_in == 1)
    assert (statistics.dropped.malformed, statistics.packets_in) == (0, 0)


async def test_srtcp(reporting: PlaneClient, party: MakeParty) -> None:
    a, b = await party("a7"), await party("b7")
    await a.agree()
    far = srtp_keys("AES_CM_128_HMAC_SHA1_32")
    await b.agree(crypto=b.rtp.secure(far))
    b.rtcp.secure(far)
    await reporting.bridge("a7", "b7")
    a.rtp.send_audio(tone(425, 40, "PCMA"), "PCMA", a.address)
    ssrc = (await b.rtp.wait_for(2))[0].ssrc
    await b.rtcp.wait_for(lambda report: report.packets == 2 and report.ssrc == ssrc)
    plain = Report(201, 5, about=ssrc, lost=900, highest=70000).to_bytes()
    b.rtcp._transport.sendto(plain, (b.address.ip, b.address.port + 1))  # type: ignore[union-attr]
    b.rtcp.send(Report(201, 5, about=ssrc, lost=1, highest=70000), b.address)
    statistics = await b.statistics(lambda statistics: statistics.reports_in > 0)
    assert (statistics.remote_lost, statistics.reports_in) == (1, 1)


async def test_a_closed_session_says_goodbye(reporting: PlaneClient, party: MakeParty) -> None:
    a = await party("a8")
    await a.agree()
    a.rtp.send_audio(tone(425, 20, "PCMA"), "PCMA", a.address)
    await a.statistics(lambda statistics: statistics.packets_in == 1)
    await reporting.close("a8")
    assert (await a.rtcp.wait_for(lambda report: report.bye)).about == a.rtp.ssrc % 2**32


async def test_jitter_is_counted_at_the_codecs_clock(reporting: PlaneClient, party: MakeParty) -> None:
    """Packets at once whose timestamps are 20 ms apart: about 20 ms of jitter, whatever the clock."""
    found = []
    for name, rate in (("a9", 8000), ("a10", 48000)):
        a = await party(name)
        await a.agree(codec=AudioCodec("EVS", 107, rate))
        for _ in range(100):
            a.rtp.send_bytes(a.rtp.packet(b"x", 107, timestamp=a.rtp.timestamp), a.address)
            a.rtp.timestamp += rate // 50
        found.append((await a.statistics(lambda statistics: statistics.packets_in == 100)).jitter_ms)
    assert found == [pytest.approx(20, abs=2)] * 2


async def test_bridging_across_threads_keeps_the_reports(reporting: PlaneClient, party: MakeParty) -> None:
    a, b = await party("a11"), await party("b11")
    await a.agree()
    await b.agree()
    await reporting.bridge("a11", "b11")
    await reporting.unbridge("b11")
    b.rtp.send_audio(tone(425, 20, "PCMA"), "PCMA", b.address)
    assert (await b.rtcp.wait_for(lambda report: report.about != 0)).payload_type == 201
