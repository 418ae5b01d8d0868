"""The service as a process on uvloop with a real NATS: killed in the middle of calls, its successor takes them up."""

import asyncio
import contextlib
import logging
import os
import selectors
import signal
import socket
import sys
import threading
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from carillon.media.v1 import node_pb2
from carillon.media.v1.node_pb2_grpc import NodeServiceStub
from carillon_contracts.config import ConfigChanged
from carillon_contracts.envelope import Event
from carillon_contracts.streams import CALLS, CONFIG, config_subject
from carillon_kit.auth import OPERATOR, issue_token
from carillon_kit.bus import Bus
from carillon_kit.embedded import free_port
from carillon_kit.grpc_client import channel
from carillon_kit.ids import SystemIds
from carillon_kit.testing import eventually, nats_url  # noqa: F401
from carillon_rtp.client import PlaneClient
from carillon_rtp.testing import PlaneProcess, plane_process
from carillon_rtp.values import MediaAddress
from carillon_sip import InviteReceived, NameAddr, RequestOut, ResponseReceived, SessionAnswered, SessionEnded, SessionFailed
from carillon_sip.digest import Algorithm, ha1
from carillon_sip.offer_answer import PCMA, answer_offer, make_offer
from carillon_sip.sdp import SessionDescription

KEY = "k" * 40
ENDED = "carillon.call.ended.v1"
_log = logging.getLogger(__name__)
#: SIPp retransmits for longer than a service needs to start on a machine with much else to do.
PATIENT = ("-timeout", "240", "-max_invite_retrans", "8", "-max_non_invite_retrans", "40")


def hashes(user: str) -> dict[str, str]:
    kinds: tuple[tuple[str, Algorithm], ...] = (("ha1_md5", "MD5"), ("ha1_sha256", "SHA-256"))
    return {field: ha1(user, "dupont.example", f"secret-{user}", algorithm) for field, algorithm in kinds}


CONFIGURATION: list[tuple[str, dict[str, Any]]] = [
    ("tenant", {"id": "dupont", "realm": "dupont.example"}),
    *(("sip_credential", {"id": user, "user_id": user, **hashes(user)}) for user in ("anne", "bob")),
    ("extension", {"id": "102", "destination": {"user_id": "bob"}}),
]


class Process:
    """`python -m carillon_media`, and what it logs."""

    def __init__(self, folder: Path, plane: Path, nats: str, routing: int) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "CARILLON_TOKEN_KEY": KEY,
            "CARILLON_NODE": folder.name,
            "CARILLON_NATS_URL": nats,
            "CARILLON_SIP_UDP": "127.0.0.1:0",
            "CARILLON_SIP_TCP": "127.0.0.1:0",
            "CARILLON_PLANE_SOCKET": str(plane),
            "CARILLON_APPLICATIONS": orjson.dumps({"routing": f"127.0.0.1:{routing}"}).decode(),
            "CARILLON_DATA": str(folder / "data"),
        }
        self.sip: dict[str, tuple[str, int]] = {}
        self.grpc_port = 0
        self.log: list[bytes] = []
        self.process: asyncio.subprocess.Process
        self.reader: asyncio.Task[None]

    @property
    def running(self) -> "Process":
        """As a `House` has it, for SIPp."""
        return self

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "carillon_media", env=self.environment, stderr=asyncio.subprocess.PIPE
        )
        assert self.process.stderr is not None
        async with asyncio.timeout(60):
            while line := await self.process.stderr.readline():
                if b'"listening"' in line:
                    addresses, self.grpc_port = orjson.loads(line)["sip"], orjson.loads(line)["grpc_port"]
                    self.sip = {name: (at.rpartition(":")[0], int(at.rpartition(":")[2])) for name, at in addresses.items()}
                    break
        assert self.sip
        self.reader = asyncio.ensure_future(self._read(self.process.stderr))

    async def _read(self, stream: asyncio.StreamReader) -> None:
        while line := await stream.readline():
            self.log.append(line)

    def kill(self) -> None:
        """Leave nothing behind when a test fails."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()

    async def end(self, number: signal.Signals) -> int:
        assert self.process.returncode is None, b"".join(self.log[-20:]).decode()
        self.process.send_signal(number)
        code = await asyncio.wait_for(self.process.wait(), 30)
        await self.reader
        return code


def whole(events: list[Event]) -> bool:
    """Every seq once, one end of the call, one of each leg."""
    begun = [event.legid for event in events if event.type.endswith(("call.started.v1", "leg_offered.v1"))]
    ended = [event.legid for event in events if event.type.endswith("leg_ended.v1")]
    ends = [event.type == ENDED for event in events]
    return [event.seq for event in events] == list(range(1, len(events) + 1)) and sum(ends) == 1 and sorted(begun) == sorted(ended)  # type: ignore[type-var]


def how_many(seen: dict[str, list[Event]], fact: str) -> int:
    """Calls of which this is known."""
    return sum(any(fact in event.type for event in events) for events in seen.values())


def over(seen: dict[str, list[Event]]) -> bool:
    return all(events[-1].type == ENDED for events in seen.values())


@pytest.mark.feature("M-13")
@pytest.mark.feature("P-10")
async def test_kill_9_cuts_no_call_of_strangers(tmp_path: Path, nats_url: str, house: Any, words: Any, sipp: Any) -> None:  # noqa: F811
    """SIPp calls SIPp; half of the calls are up, half are being set up when signalling dies: the callee, held up until then, answers
    nobody. None fails, each is recorded once and exactly."""
    house.application.follow(words.ring("bob"))
    async with plane_process(tmp_path / "..", ports=200) as plane, calls_told(nats_url, tmp_path.name) as seen:
        media = Process(tmp_path, plane.socket, nats_url, house.application.port)
        media.environment |= {"CARILLON_SIP_UDP": f"127.0.0.1:{sipp.free_port()}", "CARILLON_RESUME_SECONDS": "240"}
        await media.start()
        async with sipp.phone(media, "uas", *PATIENT) as callee:
            calls = [sipp.Sipp(media, "uac", sipp.free_port(), "-m", "20", "-r", "80", "-d", pause, *PATIENT) for pause in ("6000", "1000")]
            callers = [await calls[0].start()]
            await eventually(lambda: how_many(seen, "bridged") == 20)
            callee.send_signal(signal.SIGSTOP)
            callers.append(await calls[1].start())
            await eventually(lambda: how_many(seen, "leg_offered") == 40)
            await media.end(signal.SIGKILL)
            callee.send_signal(signal.SIGCONT)
            await media.start()
            for caller in callers:
                assert await asyncio.wait_for(caller.wait(), 120) == 0, calls[0].errors()
            try:
                await eventually(lambda: len(seen) >= 40 and over(seen))
            except TimeoutError:
                open_calls = {call: [e.type.split(".")[2] for e in events] for call, events in seen.items() if events[-1].type != ENDED}
                pytest.fail(f"{len(seen)} calls, of which these go on: {open_calls}; SIPp: {calls[0].errors()}")
        assert len(seen) == 40
        for events in seen.values():
            assert whole(events)
            assert events[-1].data["cause"] == "normal_clearing"
            assert events[-1].data["talk_ms"] > 900
        assert how_many(seen, "resumed") >= 20
        client = await PlaneClient.connect(plane.socket)
        assert await client.list_sessions() == []
        await client.disconnect()
        async with sipp.phone(media, "uas"):
            assert await sipp.Sipp(media, "uac", sipp.free_port(), "-m", "5", "-d", "100").run() == 0
        assert await media.end(signal.SIGTERM) == 0


@pytest.mark.feature("P-10")
async def test_calls_of_a_process_that_was_away_too_long_are_closed(
    tmp_path: Path,
    nats_url: str,  # noqa: F811
    house: Any,
    words: Any,
    sipp: Any,
) -> None:
    house.application.follow(words.ring("bob"))
    async with plane_process(tmp_path / "..", ports=200) as plane, calls_told(nats_url, tmp_path.name) as seen:
        media = Process(tmp_path, plane.socket, nats_url, house.application.port)
        media.environment["CARILLON_RESUME_SECONDS"] = "0"
        await media.start()
        async with sipp.phone(media, "uas"):
            caller = await sipp.Sipp(media, "uac", sipp.free_port(), "-m", "10", "-r", "40", "-d", "60000", transport="tcp").start()
            await eventually(lambda: how_many(seen, "bridged") >= 5)
            await media.end(signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError):  # SIPp may have ended with its connection
                caller.kill()
            await caller.wait()
        await media.start()
        await eventually(lambda: over(seen))
        assert all(whole(events) for events in seen.values())
        assert "node_failure" in {events[-1].data["cause"] for events in seen.values()}
        client = await PlaneClient.connect(plane.socket)
        assert await client.list_sessions() == []
        await client.disconnect()
        assert await media.end(signal.SIGTERM) == 0


async def configure(bus: Bus) -> None:
    for seq, (resource, after) in enumerate(CONFIGURATION, 1):
        change = ConfigChanged(resource=resource, resource_id=after["id"], action="created", after=after, actor="test")
        event = Event(
            id=SystemIds().uuid7(),
            source="carillon/directory",
            type=change.event_type,
            subject=resource,
            time=datetime(2026, 3, 2, tzinfo=UTC),
            data=change.model_dump(),
            tenantid="dupont",
            configseq=seq,
        )
        await bus.publish(CONFIG.name, config_subject("dupont", resource, "created"), event.to_json(), str(event.id))


async def watch(bus: Bus, seen: defaultdict[str, list[Event]], node: str) -> None:
    """Events of this node's calls, once each."""
    known = set()
    async for message in bus.follow(CALLS.name, "carillon.>"):
        event = Event.from_json(message.data)
        if event.id not in known and event.source == f"carillon/media/{node}":
            known.add(event.id)
            seen[str(event.callid)].append(event)


@asynccontextmanager
async def calls_told(nats: str, node: str) -> AsyncIterator[defaultdict[str, list[Event]]]:
    """A bus that has the configuration, and what this node tells there of each of its calls."""
    seen: defaultdict[str, list[Event]] = defaultdict(list)
    async with await Bus.connect(nats, "test") as bus:
        for stream in (CONFIG, CALLS):
            await bus.ensure_stream(stream)
        await configure(bus)
        watcher = asyncio.ensure_future(watch(bus, seen, node))
        try:
            yield seen
        finally:
            watcher.cancel()


class Streams:
    """Voice of many calls from a thread of its own: packets with a count in them, ten a second from each socket; who heard which."""

    def __init__(self, count: int) -> None:
        self.sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
        for one in self.sockets:
            one.bind(("127.0.0.1", 0))
            one.setblocking(False)
        self.ports: list[int] = [one.getsockname()[1] for one in self.sockets]
        self.to: dict[int, tuple[str, int]] = {}
        self.sent = 0
        self.heard: list[set[int]] = [set() for _ in self.sockets]
        #: When each heard something last, and all the moments at which it did after a pause (monotonic).
        self.last = [0.0 for _ in self.sockets]
        self.resumed: list[list[float]] = [[] for _ in self.sockets]
        self.speaking = True
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Streams":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ending.set()
        self.thread.join()
        for one in self.sockets:
            one.close()

    def _run(self) -> None:
        with selectors.DefaultSelector() as found:
            for index, one in enumerate(self.sockets):
                found.register(one, selectors.EVENT_READ, index)
            at = time.monotonic()
            while not self.ending.is_set():
                for key, _ in found.select(max(0.0, at - time.monotonic())):
                    with contextlib.suppress(BlockingIOError):
                        while True:
                            packet = self.sockets[key.data].recv(2048)
                            if packet[1] & 0x7F == 8:
                                self._hears(key.data, int.from_bytes(packet[12:16]))
                if time.monotonic() >= at:
                    at += 0.1
                    self._speak()

    def _hears(self, index: int, number: int) -> None:
        now = time.monotonic()
        if now - self.last[index] > 0.15:
            self.resumed[index].append(now)
        self.last[index] = now
        self.heard[index].add(number)

    def first_after(self, moment: float) -> list[float]:
        """When each was heard first after that moment, if there was a pause; else the moment itself: nothing was missed."""
        return [next((at for at in resumed if at > moment), moment) for resumed in self.resumed]

    def _speak(self) -> None:
        if not self.speaking or len(self.to) < len(self.sockets):
            return
        for index, one in enumerate(self.sockets):
            head = bytes([0x80, 8]) + (self.sent & 0xFFFF).to_bytes(2) + (self.sent * 800 & 0xFFFFFFFF).to_bytes(4) + index.to_bytes(4)
            one.sendto(head + self.sent.to_bytes(4) + b"\xd5" * 156, self.to[index])
        self.sent += 1

    def complete(self) -> bool:
        """Everybody has heard every packet of the one he talks to."""
        return all(heard == set(range(self.sent)) for heard in self.heard)


@dataclass(slots=True)
class Talks:
    """Calls that are up between two phones, their streams, and what was told of them."""

    media: Process
    anne: Any
    bob: Any
    streams: Streams
    seen: defaultdict[str, list[Event]]
    mine: list[str] = field(default_factory=list)
    theirs: list[str] = field(default_factory=list)

    async def add(self, words: Any) -> None:
        """One more."""
        number = len(self.mine)
        here, there = (MediaAddress("127.0.0.1", self.streams.ports[2 * number + side]) for side in (0, 1))
        self.mine.append(self.anne.call("102", body=make_offer(here.ip, here.port, session_id=1, codecs=(PCMA,)).to_bytes()))
        invite = await self.bob.expect(InviteReceived)
        agreed = answer_offer(SessionDescription.parse(invite.request.body), there.ip, there.port, session_id=2, codecs=(PCMA,))
        self.bob.do("answer", invite.session, agreed.local.to_bytes())
        self.theirs.append(invite.session)
        self.streams.to[2 * number + 1] = (agreed.remote.address, agreed.remote.port)
        answered = words.audio_of((await self.anne.expect(SessionAnswered)).response.body)
        self.streams.to[2 * number] = (answered.ip, answered.port)

    async def end(self) -> None:
        """Half of them by either side; the process ends in order."""
        for number, sessions in enumerate(zip(self.mine, self.theirs, strict=True)):
            (self.anne if number % 2 else self.bob).do("bye", sessions[not number % 2])
        await eventually(lambda: over(self.seen))
        assert await self.media.end(signal.SIGTERM) == 0


@asynccontextmanager
async def talking(calls: int, folder: Path, plane: PlaneProcess, nats: str, house: Any, words: Any, new_phone: Any) -> AsyncIterator[Talks]:
    """So many, in a process of its own."""
    house.application.follow(words.ring("bob"))
    async with AsyncExitStack() as stack:
        seen = await stack.enter_async_context(calls_told(nats, folder.name))
        media = Process(folder, plane.socket, nats, house.application.port)
        media.environment["CARILLON_SIP_UDP"] = f"127.0.0.1:{free_port()}"
        await media.start()
        stack.callback(media.kill)
        anne, bob = await new_phone(stack, media, "anne"), await new_phone(stack, media, "bob")
        talks = Talks(media, anne, bob, stack.enter_context(Streams(2 * calls)), seen)
        for _ in range(calls):
            await talks.add(words)
        await eventually(lambda: talks.streams.sent >= 10)
        yield talks


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.feature("M-13")
@pytest.mark.feature("P-10")
async def test_kill_9_of_signalling_with_200_calls_up_loses_no_packet_and_no_record(
    tmp_path: Path,
    nats_url: str,  # noqa: F811
    house: Any,
    words: Any,
    new_phone: Any,
    record_property: Any,
) -> None:
    calls = 200
    async with (
        plane_process(tmp_path / "..", ports=4 * calls + 40) as plane,
        talking(calls, tmp_path, plane, nats_url, house, words, new_phone) as talks,
    ):
        killed, streams, seen = time.monotonic(), talks.streams, talks.seen
        await talks.media.end(signal.SIGKILL)
        await talks.media.start()
        record_property("seconds without signalling", round(time.monotonic() - killed, 1))
        await eventually(lambda: how_many(seen, "resumed") == calls)
        after = streams.sent + 10
        await eventually(lambda: streams.sent >= after)
        streams.speaking = False
        await eventually(streams.complete)
        _log.info("%d calls, %d packets each way of each, none missing", calls, streams.sent)
        await talks.end()
    assert len(seen) == calls
    for events in seen.values():
        assert whole(events)
        ended, answered_at = events[-1], next(e.time for e in events if e.type.endswith("bridged.v1"))
        assert ended.data["cause"] == "normal_clearing"
        assert abs(ended.data["talk_ms"] / 1000 - (ended.time - answered_at).total_seconds()) < 1
    assert [sum(e[-1].data["by"] == side for e in seen.values()) for side in ("caller", "callee")] == [calls // 2, calls // 2]


#: Seconds from the kill until every one of 400 streams is heard again. The promise is a second on a machine that has nothing else to do.
PLANE_BACK_WITHIN = 20.0


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.feature("M-13")
async def test_kill_9_of_the_media_plane_with_200_calls_up_gives_all_their_audio_back(
    tmp_path: Path,
    nats_url: str,  # noqa: F811
    house: Any,
    words: Any,
    new_phone: Any,
    record_property: Any,
) -> None:
    """Through the whole service, a spare plane standing by: the far ends, who send to the ports they were told, are heard both ways again;
    no call ends and none is set up anew."""
    calls = 200
    async with (
        plane_process(tmp_path / "..", "--standby", ports=4 * calls + 40) as first,
        talking(calls, tmp_path, first, nats_url, house, words, new_phone) as talks,
        spare(first) as second,
    ):
        streams, back = talks.streams, []
        kills = (first, second, first)
        for plane in kills:
            await eventually((second if plane is first else first).stands_by)
            killed = time.monotonic()
            await plane.end(signal.SIGKILL)
            await eventually(lambda killed=killed: min(streams.last) > killed, timeout=PLANE_BACK_WITHIN)  # type: ignore[misc]
            back += [at - killed for at in streams.first_after(killed)]
            await plane.start()
        back.sort()
        shares = {f"p{share}": round(back[min(len(back) - 1, len(back) * share // 100)], 2) for share in (50, 95, 99, 100)}
        record_property("seconds until a stream was heard again", shares)
        _log.info("%d calls, %d kills: seconds until a stream was heard again: %s", calls, len(kills), shares)
        assert back[-1] < PLANE_BACK_WITHIN
        assert how_many(talks.seen, "leg_ended") == 0
        await talks.end()
    assert all(whole(events) and events[-1].data["cause"] == "normal_clearing" for events in talks.seen.values())
    assert len(talks.seen) == calls


@asynccontextmanager
async def spare(plane: PlaneProcess) -> AsyncIterator[PlaneProcess]:
    """Another one, on the same socket and ports."""
    other = PlaneProcess(plane.socket, plane.ports, ["--standby"])
    await other.start()
    try:
        yield other
    finally:
        await other.end(signal.SIGKILL)


@pytest.mark.feature("M-14")
@pytest.mark.parametrize("by", ["signal", "rpc"])
async def test_a_draining_node_keeps_its_calls_takes_no_new_ones_and_ends(
    tmp_path: Path,
    nats_url: str,  # noqa: F811
    house: Any,
    words: Any,
    new_phone: Any,
    by: str,
) -> None:
    house.application.follow(words.ring("bob"))
    async with plane_process(tmp_path / "..", ports=200) as plane, calls_told(nats_url, tmp_path.name):
        media = Process(tmp_path, plane.socket, nats_url, house.application.port)
        media.environment |= {"CARILLON_DRAIN_SECONDS": "60", "CARILLON_SHUTDOWN_SECONDS": "5"}
        await media.start()
        async with AsyncExitStack() as stack:
            stack.callback(media.kill)
            anne, bob = await new_phone(stack, media, "anne"), await new_phone(stack, media, "bob")
            call = anne.call("102")
            await bob.pick_up()
            await anne.answered()
            target, token = f"127.0.0.1:{media.grpc_port}", issue_token(KEY, "olga", None, [OPERATOR])
            link = await stack.enter_async_context(channel(target, token))
            node, health = NodeServiceStub(link), HealthStub(link)
            assert (await node.GetNode(node_pb2.GetNodeRequest())).state == "serving"
            if by == "rpc":
                drained = await node.Drain(node_pb2.DrainRequest())
                assert (drained.state, drained.calls) == ("draining", 1)
            else:
                media.process.send_signal(signal.SIGTERM)

            async def withdrawn() -> bool:
                return bool((await health.Check(HealthCheckRequest())).status == HealthCheckResponse.NOT_SERVING)

            await eventually(withdrawn)
            assert (await node.GetNode(node_pb2.GetNodeRequest())).calls == 1
            told = await node.GetMediaPlane(node_pb2.GetMediaPlaneRequest())
            assert (told.sessions, told.refusing) == (2, False)
            assert 2 <= told.ports_used == told.ports_total - told.ports_free
            anne.call("102")
            refused = await anne.expect(SessionFailed)
            assert (refused.status, refused.response.headers.get("Retry-After")) == (503, "5")
            address = NameAddr.of("sip:edge@dupont.example")
            anne.do("request", RequestOut("OPTIONS", flow=anne.flow, request_uri="sip:dupont.example", from_=address, to=address))
            pinged = (await anne.expect(ResponseReceived)).response
            assert (pinged.status, pinged.headers.get("Retry-After")) == (503, "30")
            assert await bob.register() == 200
            help_call = anne.call("112")
            assert (await bob.expect(InviteReceived)).request.method == "INVITE"
            anne.do("cancel", help_call)
            assert media.process.returncode is None
            anne.do("bye", call)
            assert (await bob.expect(SessionEnded)).by == "remote"
            assert await asyncio.wait_for(media.process.wait(), 30) == 0
            await media.reader
