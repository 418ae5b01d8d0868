"""What a caller speaks and under which keys: prompts in its codec, SRTP beside RTP, also when the media plane dies."""

import os
import signal
from typing import Any

import pytest

from carillon.common.v1 import call_application_pb2 as pb
from carillon_kit.testing import eventually
from carillon_rtp.codecs import Decoder
from carillon_rtp.srtp import SUITES
from carillon_rtp.testing import decode, share_of, srtp_keys, tone
from carillon_rtp.values import MediaAddress, SrtpKeys
from carillon_sip import ReinviteAnswered, ReinviteFailed, SessionAnswered, SessionEnded, SessionReinvited
from carillon_sip.offer_answer import G722, OPUS, PCMA, PCMU, make_offer
from carillon_sip.sdes import Crypto
from carillon_sip.sdp import Codec, SessionDescription

pytestmark = pytest.mark.feature("M-7")
SUITE = "AES_CM_128_HMAC_SHA1_80"


@pytest.mark.parametrize("codec", [G722, OPUS], ids=["g722", "opus"])
async def test_a_prompt_is_heard_in_the_callers_codec(house: Any, words: Any, codec: Codec) -> None:
    beep = pb.Step(play=pb.Play(prompts=[pb.Prompt(beep=True)]))
    house.application.follow(pb.NextResponse(step=beep, cursor=b"x", config_seq=5), words.hang_up(16))
    anne = await house.phone("anne")
    anne.call("102", body=anne.offer(codecs=(codec,)))
    await anne.answered()
    await anne.expect(SessionEnded)
    heard = [packet for packet in anne.rtp.received if packet.payload_type == codec.payload_type]
    assert len(heard) >= 10
    decoder = Decoder(codec.name)
    samples = [sample for packet in heard for sample in decoder.decode(packet.payload)]
    assert max(abs(sample) for sample in samples) > 2000
    events = await house.ended()
    assert words.last(events, "leg_ended")["quality"]["codec"] == codec.name


async def test_srtp_on_one_leg_goes_on_when_the_media_plane_dies(house: Any, words: Any) -> None:
    house.application.follow(words.ring("bob"))
    anne, bob = await house.phone("anne"), await house.phone("bob")
    here, key = anne.rtp.address, os.urandom(30)
    offer = make_offer(here.ip, here.port, session_id=1, crypto=[Crypto(1, SUITE, key)], protocol="RTP/SAVP")
    call = anne.call("102", body=offer.to_bytes())
    _, bob_hears_from = await bob.pick_up()
    audio = SessionDescription.parse((await anne.expect(SessionAnswered)).response.body).audio
    assert audio is not None
    assert audio.secure
    (line,) = audio.crypto
    anne.rtp.secure(SrtpKeys("AES_CM_128_HMAC_SHA1_80", key, line.key))
    anne_hears_from = type(bob_hears_from)(audio.address, audio.port)

    async def both_hear() -> None:
        for phone in (anne, bob):
            phone.rtp.received.clear()
        anne.rtp.send_audio(tone(440, 200, "PCMA"), "PCMA", anne_hears_from)
        bob.rtp.send_audio(tone(880, 200, "PCMA"), "PCMA", bob_hears_from)
        for phone, hertz in ((bob, 440), (anne, 880)):
            heard = b"".join(packet.payload for packet in await phone.rtp.wait_for(8))
            assert share_of(decode(heard, "PCMA"), hertz) > 0.9

    await both_hear()
    (actor,) = house.running.board.calls.values()
    assert actor.legs["a"].told.crypto.agreed_at is not None
    await house.plane.end(signal.SIGKILL)
    await house.plane.start()
    plane = actor.parts.plane
    await eventually(lambda: plane.connected)

    async def bridged() -> bool:
        return sum(state.bridged_with is not None for state in await plane.list_sessions()) == 2

    await eventually(bridged)
    await both_hear()
    anne.do("bye", call)
    events = await house.ended()
    assert [event.data["quality"]["srtp"] for event in events if event.type == "carillon.call.leg_ended.v1"] == [SUITE, ""]
    assert "inline:" not in "".join(event.to_json().decode() for event in events)


async def test_every_suite_is_answered_with_itself_used_and_told(house: Any, words: Any) -> None:
    """A phone that offers one alone: what it says comes through, and the record names the suite."""
    house.application.follow(words.ring("bob"))
    anne, bob = await house.phone("anne"), await house.phone("bob")
    here = anne.rtp.address
    for calls, suite in enumerate(SUITES, 1):
        keys = srtp_keys(suite)  # ours as the plane would have them: `remote_key` is the phone's
        offer = make_offer(here.ip, here.port, session_id=1, crypto=[Crypto(1, suite, keys.remote_key)], protocol="RTP/SAVP")
        call = anne.call("102", body=offer.to_bytes())
        await bob.pick_up()
        audio = SessionDescription.parse((await anne.expect(SessionAnswered)).response.body).audio
        assert audio is not None
        (line,) = audio.crypto
        assert line.suite == suite
        anne.rtp.secure(SrtpKeys(suite, keys.remote_key, line.key))
        bob.rtp.received.clear()
        anne.rtp.send_audio(tone(440, 200, "PCMA"), "PCMA", MediaAddress(audio.address, audio.port))
        heard = b"".join(packet.payload for packet in await bob.rtp.wait_for(8))
        assert share_of(decode(heard, "PCMA"), 440) > 0.9
        anne.do("bye", call)
        events = await house.ended(calls)
        assert words.last(events, "leg_ended", "a")["quality"]["srtp"] == suite
        await bob.expect(SessionEnded)


def hears(phone: Any, codec: Codec, hertz: int) -> bool:
    """In this codec, for 160 ms."""
    decoder = Decoder(codec.name)
    packets = [packet.payload for packet in phone.rtp.received if packet.payload_type == codec.payload_type]
    frames = [decoder.decode(payload) for payload in packets]
    return any(share_of([each for frame in frames[at : at + 8] for each in frame], hertz) > 0.9 for at in range(len(frames) - 7))


@pytest.mark.feature("M-3")
async def test_a_phone_changes_codecs_in_the_middle_and_the_other_side_need_not_know(house: Any, words: Any) -> None:
    """The media plane converts; what nobody here speaks is refused, and what was agreed before goes on (RFC 3261 section 14.2)."""
    house.application.follow(words.ring("bob"))
    anne, bob = await house.phone("anne"), await house.phone("bob")
    call = anne.call("102")
    _, bob_to = await bob.pick_up()
    anne_to = await anne.answered()

    async def anne_hears(codec: Codec) -> None:
        anne.rtp.received.clear()
        bob.rtp.send_audio(tone(880, 400, "PCMA"), "PCMA", bob_to)
        await eventually(lambda: hears(anne, codec, 880))

    await anne_hears(PCMA)
    anne.do("reinvite", call, anne.offer(codecs=(PCMU,)))
    await anne.expect(ReinviteAnswered)
    bob.rtp.received.clear()
    anne.rtp.send_audio(tone(440, 400, "PCMU"), "PCMU", anne_to)
    heard = await bob.rtp.wait_for(15)
    assert {packet.payload_type for packet in heard} == {PCMA.payload_type}
    assert share_of(decode(b"".join(packet.payload for packet in heard[3:]), "PCMA"), 440) > 0.9
    for codec in (PCMU, G722, OPUS):
        anne.do("reinvite", call, anne.offer(codecs=(codec,)))
        assert codec.name.encode() in (await anne.expect(ReinviteAnswered)).body.upper()
        await anne_hears(codec)
    unknown = anne.offer(codecs=(OPUS,)).replace(b"opus/48000/2", b"G729/8000").replace(b"OPUS/48000/2", b"G729/8000")
    anne.do("reinvite", call, unknown)
    assert (await anne.expect(ReinviteFailed)).status == 488
    await anne_hears(OPUS)
    assert not [output for output in bob.seen if isinstance(output, SessionReinvited | SessionEnded)]
    anne.do("bye", call)
    await house.ended()
