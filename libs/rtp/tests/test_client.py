"""The control side: idempotent commands, ports, a client that dies, a plane that dies."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from carillon_rtp import connection
from carillon_rtp.client import (
    BadRequest,
    DigitPressed,
    NoSession,
    PlaneClient,
    PlaneRestarted,
    PlaneUnavailable,
    PlayEnded,
    PortsExhausted,
    Remote,
    SessionAbandoned,
)
from carillon_rtp.protocol import MAX_FRAME, encode, read_frame
from carillon_rtp.testing import EventLog, MakeLeg, PlaneProcess, decode, plane_process, rtp_endpoint, share_of, sine, tone, write_wav


async def test_commands_are_idempotent_by_session(client: PlaneClient) -> None:
    first = await client.open("same")
    assert await client.open("same") == first
    assert first.ip == "127.0.0.1"
    assert first.port % 2 == 0
    await client.open("other")
    for _ in range(2):
        await client.set_remote("same", Remote("127.0.0.1", 4000))
        await client.bridge("same", "other")
        await client.stop_play("same")
        await client.stop_record("same")
    for _ in range(2):
        await client.unbridge("same")
    assert await client.close("same") == await client.close("same")
    await client.close("other")
    assert (await client.close("never opened")).packets_in == 0


async def test_many_commands_at_once_are_answered_each(client: PlaneClient) -> None:
    names = [f"many-{number}" for number in range(60)]
    addresses = await asyncio.gather(*(client.open(name) for name in names))
    assert len({address.port for address in addresses}) == 60
    listed = {state.session: state.address for state in await client.list_sessions()}
    assert {name: listed[name] for name in names} == dict(zip(names, addresses, strict=True))
    await asyncio.gather(*(client.close(name) for name in names))
    assert await client.list_sessions() == []


async def test_several_sessions_are_asked_and_closed_at_once_and_one_that_is_gone_harms_no_other(client: PlaneClient) -> None:
    await client.open("here")
    await client.open("there")
    known, unknown, other = await client.statistics_of(["here", "gone", "there"])
    assert known is not None
    assert unknown is None
    assert other is not None
    await client.close_all(["here", "gone", "there"])
    assert await client.list_sessions() == []
    assert await client.statistics_of([]) == []


async def test_what_is_refused_because_too_much_waits_leaves_nothing_that_waits(
    client: PlaneClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "MAX_PENDING", 2)
    with pytest.raises(PlaneUnavailable):
        await client.statistics_of(["one", "two", "three"])
    assert await client.statistics_of(["one", "two"]) == [None, None]


async def test_a_command_too_large_for_a_frame_is_refused_and_the_others_are_not(client: PlaneClient, tmp_path: Path) -> None:
    await client.open("large")
    huge = [tmp_path / ("x" * 30000)] * 40
    results = await asyncio.gather(client.play("large", "p", huge), client.statistics(), return_exceptions=True)
    assert isinstance(results[0], BadRequest)
    assert not isinstance(results[1], BaseException)
    await client.close("large")


async def test_what_is_not_there_or_wrong_is_said(client: PlaneClient) -> None:
    with pytest.raises(NoSession, match="nobody"):
        await client.set_remote("nobody", Remote("127.0.0.1", 4000))
    with pytest.raises(BadRequest):
        await client.open("x" * 65)
    await client.open("x")
    with pytest.raises(BadRequest, match="IP address"):
        await client.set_remote("x", Remote("example.org", 4000))
    with pytest.raises(BadRequest):
        await client.set_remote("x", Remote("127.0.0.1", 70000))
    with pytest.raises(BadRequest):
        await client.bridge("x", "x")
    with pytest.raises(BadRequest):
        await client._ask("explode")
    await client.close("x")


async def test_ports_run_out_with_a_clear_error_and_come_back_late(tmp_path: Path) -> None:
    async with plane_process(tmp_path, "--rest", "0.3", ports=6) as plane:
        client = await PlaneClient.connect(plane.socket)
        ports = [(await client.open(name)).port for name in "abc"]
        with pytest.raises(PortsExhausted, match="every port"):
            await client.open("d")
        await client.close("b")
        with pytest.raises(PortsExhausted):
            await client.open("d")
        assert (await client.open("b", port=ports[1])).port == ports[1]  # who had it may have it back
        await client.close("b")
        async with asyncio.timeout(30):
            while (await client.statistics()).ports_free == 0:
                continue
        assert (await client.open("d")).port == ports[1]
        await client.disconnect()


@pytest.mark.feature("M-13")
async def test_a_call_outlives_its_client_and_another_takes_it_over(tmp_path: Path) -> None:
    async with plane_process(tmp_path) as plane, rtp_endpoint() as left, rtp_endpoint() as right:
        first = await PlaneClient.connect(plane.socket)
        a, b = await first.open("a"), await first.open("b")
        await first.set_remote("a", Remote("127.0.0.1", left.address.port, "PCMA", 101))
        await first.set_remote("b", Remote("127.0.0.1", right.address.port, "PCMU", 101))
        await first.bridge("a", "b")
        await first.play("b", "music", [write_wav(tmp_path / "m.wav", sine(440, 1000))], loop=True)
        await right.wait_for(1)
        await first.disconnect()
        at_least = len(right.received) + 3
        await right.wait_for(at_least)  # the music goes on
        left.send_audio(tone(425, 100, "PCMA"), "PCMA", a)
        for packet in left.event_packets(4, 101):
            left.send_bytes(packet, a)

        second = await PlaneClient.connect(plane.socket)
        states = {state.session: state for state in await second.list_sessions()}
        assert set(states) == {"a", "b"}
        assert (states["a"].address, states["b"].address) == (a, b)
        assert states["a"].bridged_with == "b"
        assert states["a"].remote == Remote("127.0.0.1", left.address.port, "PCMA", 101)
        assert states["b"].play_id == "music"
        assert states["b"].source is None
        seen = EventLog(second)
        reading = asyncio.create_task(seen.read())
        assert [event.digit for event in await seen.wait_for(DigitPressed, "a")] == ["4"]  # pressed while nobody listened
        await second.stop_play("b")
        await seen.wait_for(PlayEnded, "b")
        left.send_audio(tone(425, 100, "PCMA"), "PCMA", a)
        async with asyncio.timeout(30):
            while share_of(decode(b"".join(packet.payload for packet in right.received[-5:]), "PCMU"), 425) < 0.98:
                await right.wait_for(len(right.received) + 1)
        assert (await second.close("a")).packets_in == 17
        await second.close("b")
        await second.disconnect()
        await reading


@pytest.mark.feature("M-13")
async def test_a_killed_plane_is_noticed_and_its_successor_used(tmp_path: Path) -> None:
    async with plane_process(tmp_path) as plane, rtp_endpoint() as phone:
        client = await PlaneClient.connect(plane.socket, deadline=10.0)
        seen = EventLog(client)
        reading = asyncio.create_task(seen.read())
        address = await client.open("call")
        await client.set_remote("call", Remote("127.0.0.1", phone.address.port))
        prompt = write_wav(tmp_path / "p.wav", sine(440, 2000))
        await client.play("call", "one", [prompt])
        before = (await phone.wait_for(3))[-1]
        await plane.end(signal.SIGKILL)
        await plane.start()
        await seen.wait_for(PlaneRestarted)
        with pytest.raises(NoSession):
            await client.set_remote("call", Remote("127.0.0.1", phone.address.port))
        assert await client.open("call", port=address.port) == address
        await client.set_remote("call", Remote("127.0.0.1", phone.address.port))
        count = len(phone.received)
        await client.play("call", "one", [prompt])
        after = (await phone.wait_for(count + 1))[-1]
        assert after.ssrc == before.ssrc
        assert 0 < (after.sequence - before.sequence) % 65536 < 32768
        assert 0 < (after.timestamp - before.timestamp) % 2**32 < 8000 * 60
        assert seen.of(PlayEnded) == []
        await client.disconnect()
        await reading


async def test_an_event_is_handed_out_until_its_reader_has_dealt_with_it(plane: PlaneProcess, make_leg: MakeLeg) -> None:
    leg = await make_leg("PCMA", 101)
    leg.press_event(1)
    leg.press_event(2)

    async def heard(client: PlaneClient, count: int) -> list[str]:
        """Reads so many keys and dies over the last one."""
        keys: list[str] = []
        async with asyncio.timeout(30):
            async for event in client.events():
                if isinstance(event, DigitPressed) and event.session == leg.name:
                    keys.append(event.digit)
                if len(keys) == count:
                    return keys
        return keys

    for count, expected in ((1, ["1"]), (2, ["1", "2"]), (1, ["2"])):
        client = await PlaneClient.connect(plane.socket)
        assert await heard(client, count) == expected
        await client.statistics()
        await client.disconnect()


async def test_no_plane_is_said_in_time(tmp_path: Path) -> None:
    with pytest.raises(PlaneUnavailable):
        await PlaneClient.connect(tmp_path / "nothing", within=0.1)


async def test_a_plane_that_went_away_is_said_in_time(tmp_path: Path) -> None:
    async with plane_process(tmp_path) as plane:
        client = await PlaneClient.connect(plane.socket, deadline=0.2)
        assert await plane.end() == 0
        with pytest.raises(PlaneUnavailable):
            await client.open("x")
        await client.disconnect()
        with pytest.raises(PlaneUnavailable):
            await client.open("x")


async def test_a_second_plane_does_not_take_the_socket(plane: PlaneProcess, client: PlaneClient) -> None:
    second = PlaneProcess(plane.socket, plane.ports)
    await second.start()
    assert await second.ended() == 1
    await client.statistics()


@pytest.mark.parametrize(
    "junk",
    [
        b"\xff" * 100,
        b"\0\0\0\0",
        (MAX_FRAME + 1).to_bytes(4, "big"),
        encode([]),
        encode(["x"]),
        encode({"hello": {"version": 99}}),
        b"\0\0\0\5[1,2]",
    ],
)
async def test_a_client_that_talks_nonsense_is_cut_off_alone(plane: PlaneProcess, client: PlaneClient, junk: bytes) -> None:
    reader, writer = await asyncio.open_unix_connection(plane.socket)
    writer.write(junk)
    (answer,) = await read_frame(reader)
    assert answer["error"]["code"] == "bad_request"
    assert await reader.read() == b""
    writer.close()
    await client.statistics()


async def test_requests_of_any_shape_are_answered(plane: PlaneProcess, client: PlaneClient) -> None:
    reader, writer = await asyncio.open_unix_connection(plane.socket)
    writer.write(encode({"hello": {"version": 1}}))
    await read_frame(reader)
    verbs = [
        "open",
        "set_remote",
        "bridge",
        "unbridge",
        "play",
        "stop_play",
        "record",
        "stop_record",
        "close",
        "list_sessions",
        "session_statistics",
    ]
    shapes: list[dict[str, object]] = [
        {},
        {"session": None},
        {"session": 7},
        {"session": "s", "remote": 1, "files": 1, "path": 3, "limit": "x", "other": []},
    ]
    requests = [{"id": 1, "do": "open", "session": "s"}]
    requests += [{"id": 2, "do": verb, **shape} for verb in verbs for shape in shapes if (verb, shape) != ("open", shapes[3])]
    requests += [{"id": 3, "do": "close", "session": "s"}]
    for request in requests:
        writer.write(encode(request))
        answers: list[dict[str, object]] = []
        while not answers:
            answers = [message for message in await read_frame(reader) if "event" not in message]
        (answer,) = answers
        assert answer["id"] == request["id"]
        assert ("ok" in answer) != ("error" in answer)
    writer.close()
    await client.statistics()


@pytest.mark.feature("M-13")
async def test_what_nobody_adopts_ends_and_what_is_adopted_lives(tmp_path: Path) -> None:
    async with plane_process(tmp_path, "--orphan", "1") as plane, rtp_endpoint() as left, rtp_endpoint() as right:
        first = await PlaneClient.connect(plane.socket)
        addresses = {name: await first.open(name) for name in ("kept", "lost", "touched")}
        await first.open_room("empty")
        await first.set_remote("kept", Remote("127.0.0.1", left.address.port))
        await first.set_remote("lost", Remote("127.0.0.1", right.address.port))
        await first.bridge("kept", "lost")
        await first.disconnect()
        left.send_audio(tone(425, 200, "PCMA"), "PCMA", addresses["kept"])
        await right.wait_for(10)  # nobody is there, and nothing is missing

        second = await PlaneClient.connect(plane.socket)
        seen = EventLog(second)
        reading = asyncio.create_task(seen.read())
        assert [state.adopted for state in await second.list_sessions()] == [False] * 3
        assert await second.adopt(["kept", "never opened"]) == ["never opened"]
        await second.session_statistics("touched")
        assert {state.session: state.adopted for state in await second.list_sessions()} == {"kept": True, "lost": False, "touched": True}
        assert await seen.wait_for(SessionAbandoned) == [SessionAbandoned("lost")]
        states = {state.session: state for state in await second.list_sessions()}
        assert set(states) == {"kept", "touched"}
        assert states["kept"].bridged_with is None
        assert (await second.close("lost")).packets_out == 10  # what it did is still known
        assert await second.list_rooms() == []
        await second.disconnect()
        await reading
