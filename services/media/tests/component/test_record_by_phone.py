"""An announcement spoken into a phone: the call, what its keys do, and what becomes of it, told as it goes."""

import asyncio
import io
import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
import soundfile

from carillon.common.v1 import call_application_pb2 as app
from carillon.media.v1 import audio_pb2 as pb
from carillon_kit.testing import eventually
from carillon_rtp.testing import decode, share_of, tone
from carillon_sip import InviteReceived, SessionEnded
from strangers.sipp import SPOKEN_HZ, Sipp, tone_file

pytestmark = pytest.mark.feature("M-8")
STATES = pb.RecordByPhoneState


class Reader:
    """Reads the answers of a call as they come."""

    def __init__(self, call: AsyncIterator[pb.RecordByPhoneResponse]) -> None:
        self.answers: list[pb.RecordByPhoneResponse] = []
        self.task = asyncio.ensure_future(self._read(call))

    async def _read(self, call: AsyncIterator[pb.RecordByPhoneResponse]) -> None:
        async for answer in call:
            self.answers.append(answer)

    @property
    def states(self) -> list[str]:
        return [STATES.Name(answer.state).removeprefix("RECORD_BY_PHONE_STATE_").lower() for answer in self.answers]

    async def until(self, *states: str) -> None:
        await eventually(lambda: self.states[-len(states) :] == list(states))

    async def end(self) -> pb.RecordByPhoneResponse:
        await asyncio.wait_for(self.task, 30)
        return self.answers[-1]


def request(**fields: Any) -> pb.RecordByPhoneRequest:
    particulars = pb.AudioParticulars(audio_id="welcome", display_name="Welcome", language="en", right_to_broadcast=True)
    return pb.RecordByPhoneRequest(**{"user_id": "anne", "particulars": particulars, **fields})


def press(phone: Any, digit: int, to: Any) -> None:
    for packet in phone.rtp.event_packets(digit, 101):
        phone.rtp.send_bytes(packet, to)


async def say(house: Any, phone: Any, hertz: float, to: Any) -> None:
    """Skip the introduction, speak a tone after the beep, press hash."""
    press(phone, 5, to)
    spool = house.folder / "media/spool/recordings"
    await eventually(lambda: any(spool.glob("*.wav")))
    phone.rtp.send_audio(tone(hertz, 800, "PCMA"), "PCMA", to)
    await eventually(lambda: any(path.stat().st_size >= 58 + 8 * 800 for path in spool.glob("*.wav")))
    phone.rtp.received.clear()
    press(phone, 11, to)


async def hears(phone: Any, hertz: float) -> None:
    """The tone comes back, before the system speaks."""
    heard = decode(b"".join(packet.payload for packet in await phone.rtp.wait_for(40, 20)), "PCMA")
    assert max(share_of(heard[start : start + 1600], hertz) for start in range(0, len(heard) - 1600, 400)) > 0.9
    phone.rtp.received.clear()


async def test_spoken_heard_spoken_anew_and_kept(studio: Any) -> None:
    anne = await studio.phone("anne")
    reader = Reader(studio.client.RecordByPhone(request()))
    invite, to = await anne.pick_up()
    assert (invite.request.from_.uri.user, invite.request.from_.display_name) == ("welcome", "Welcome")
    await reader.until("calling", "ringing", "answered")
    await say(studio, anne, 440, to)
    await hears(anne, 440)
    press(anne, 2, to)
    await hears(anne, 440)
    press(anne, 3, to)
    await say(studio, anne, 700, to)
    await hears(anne, 700)
    await reader.until("recording", "recorded", "recording", "recorded")
    press(anne, 1, to)
    await anne.expect(SessionEnded, timeout=20)
    last = await reader.end()
    assert last.state == pb.RECORD_BY_PHONE_STATE_KEPT
    kept = studio.fake.audios["welcome"]
    assert (kept.object, kept.rights_confirmed_by, kept.display_name) == (last.audio.object, "elise", "Welcome")
    samples, rate = soundfile.read(io.BytesIO(await studio.objects.get(kept.object)))
    assert rate == 8000
    assert share_of((samples[:4000] * 32767).astype(int).tolist(), 700) > 0.9
    assert studio.fake.seen[0]["authorization"].startswith("Bearer ")


async def test_who_hangs_up_keeps_nothing(studio: Any) -> None:
    anne = await studio.phone("anne")
    reader = Reader(studio.client.RecordByPhone(request()))
    invite, to = await anne.pick_up()
    await say(studio, anne, 440, to)
    await reader.until("recorded")
    anne.do("bye", invite.session)
    last = await reader.end()
    assert (last.state, last.reason) == (pb.RECORD_BY_PHONE_STATE_NOT_KEPT, "the call ended: normal_clearing")
    assert not studio.fake.audios


async def test_whoever_stops_reading_ends_the_call(studio: Any) -> None:
    anne = await studio.phone("anne")
    call = studio.client.RecordByPhone(request())
    reader = Reader(call)
    await anne.pick_up()
    await reader.until("answered")
    call.cancel()
    await anne.expect(SessionEnded, timeout=20)
    with pytest.raises(asyncio.CancelledError):
        await reader.end()


async def test_a_number_is_dialled_as_the_user_may_and_shows_the_number_it_is_given(studio: Any) -> None:
    targets = [app.RingTarget(target_id="carol", user_id="carol", stop_after_ms=20_000)]
    rung = app.Step(ring=app.Ring(targets=targets, caller_number="101"))
    studio.application.follow(app.NextResponse(step=rung, cursor=b"x", config_seq=5))
    carol = await studio.phone("carol")
    reader = Reader(studio.client.RecordByPhone(request(number="103")))
    invite = await carol.expect(InviteReceived)
    asked = studio.application.asked[0].call
    assert (asked.caller_user_id, asked.dialled) == ("anne", "103")
    carol.do("reject", invite.session, 486)
    last = await reader.end()
    assert last.reason == "the call ended: user_busy"
    assert (await studio.ended())[0].data["caller"] == "103"


@pytest.mark.skipif(shutil.which("sipp") is None, reason="sipp is not installed")
async def test_who_is_called_outside_speaks_hears_and_keeps_by_a_carrier_s_keys(studio: Any, words: Any, tmp_path: Path) -> None:
    """The carrier is SIPp, which sends a tone from its answer on, and presses what an OPTIONS in its call says."""
    with Sipp("carrier_speaks.xml", ("127.0.0.2", 5060), ip="127.0.0.2", replace={"SOUND": str(tone_file(tmp_path))}) as carrier:
        await studio.configure("trunk", {"id": "carrier", "address": f"127.0.0.2:{carrier.port}"})
        await eventually(lambda: studio.running.trunks.states("dupont")[0].line.trunk.address.endswith(f":{carrier.port}"))
        studio.application.follow(words.ring(trunk="+41791234567"))
        reader = Reader(studio.client.RecordByPhone(request(number="0791234567")))
        await reader.until("answered")
        (actor,) = studio.running.board.calls.values()
        call_id = actor.parts.sip.dialog_ids(actor.legs["a"].session)[0]
        # SIPp ends a call in which it hears anything before the ACK.
        await eventually(lambda: not actor.legs["a"].unacknowledged)

        def presses(key: str) -> None:
            via = f"Via: SIP/2.0/UDP 127.0.0.2:5060;branch=z9hG4bK{key.encode().hex()}"
            lines = ["OPTIONS sip:carrier SIP/2.0", via, "From: <sip:x>;tag=1", "To: <sip:y>", f"Call-ID: {call_id}", "CSeq: 1 OPTIONS"]
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as finger:
                finger.sendto("\r\n".join([*lines, f"X-Press: {key}", "Content-Length: 0", "", ""]).encode(), ("127.0.0.2", carrier.port))

        presses("5")
        await reader.until("recording")
        spool = studio.folder / "media/spool/recordings"
        await eventually(lambda: any(path.stat().st_size >= 58 + 8 * 800 for path in spool.glob("*.wav")))
        presses("#")
        await reader.until("recorded")
        presses("1")
        assert (await reader.end()).state == pb.RECORD_BY_PHONE_STATE_KEPT
        await asyncio.to_thread(carrier.succeed)
    samples, rate = soundfile.read(io.BytesIO(await studio.objects.get(studio.fake.audios["welcome"].object)))
    assert rate == 8000
    assert share_of((samples[:4000] * 32767).astype(int).tolist(), SPOKEN_HZ) > 0.9
    started = (await studio.ended())[0].data
    assert (started["caller"], started["caller_user_id"]) == ("0791234567", "anne")


async def test_what_cannot_be_done_is_refused_by_field(studio: Any, words: Any) -> None:
    async def refused(**fields: Any) -> tuple[grpc.StatusCode, str]:
        with pytest.raises(grpc.aio.AioRpcError) as error:
            [answer async for answer in studio.client.RecordByPhone(request(**fields))]
        return error.value.code(), str(error.value.details())

    bad = grpc.StatusCode.INVALID_ARGUMENT
    assert await refused(particulars=pb.AudioParticulars(audio_id="x")) == (bad, "particulars.right_to_broadcast: must be confirmed")
    for field, value in [("user_id", ""), ("number", "a b"), ("ring_seconds", 999), ("max_seconds", -1)]:
        code, details = await refused(**{field: value})
        assert (code, details.partition(":")[0]) == (bad, field)
    assert (await refused(user_id="ghost"))[0] is grpc.StatusCode.NOT_FOUND
    assert "no device of user carol" in (await refused(user_id="carol"))[1]
    studio.application.follow(words.hang_up(21))
    assert (await refused(number="+41790000000"))[0] is grpc.StatusCode.FAILED_PRECONDITION
