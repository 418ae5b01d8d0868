"""Calls between phones, over real sockets, with the real media plane and the real journal."""

from typing import Any

import pytest

from carillon_kit.testing import eventually
from carillon_rtp.testing import decode, rtp_endpoint, share_of, tone
from carillon_sip import (
    Credentials,
    InviteReceived,
    ReinviteAnswered,
    SessionAnswered,
    SessionCancelled,
    SessionEnded,
    SessionFailed,
    SessionProgress,
)
from carillon_sip.offer_answer import PCMU, answer_offer
from carillon_sip.sdp import SessionDescription


@pytest.mark.feature("M-1")
async def test_extension_to_extension_with_audio_both_ways(house: Any, words: Any) -> None:
    house.application.follow(words.ring("bob"))
    anne, bob = await house.phone("anne"), await house.phone("bob")
    call = anne.call("102")
    invite, bob_hears_from = await bob.pick_up()
    assert (await anne.expect(SessionProgress)).response.status == 180
    anne_hears_from = await anne.answered()
    shown = invite.request.from_
    assert (shown.display_name, shown.uri.user, shown.uri.host) == ("Anne Dumas", "101", "dupont.example")
    anne.rtp.send_audio(tone(440, 200, "PCMA"), "PCMA", anne_hears_from)
    bob.rtp.send_audio(tone(880, 200, "PCMA"), "PCMA", bob_hears_from)
    for phone, hertz in ((bob, 440), (anne, 880)):
        heard = b"".join(packet.payload for packet in await phone.rtp.wait_for(8))
        assert share_of(decode(heard, "PCMA"), hertz) > 0.9
    anne.do("bye", call)
    assert (await bob.expect(SessionEnded)).by == "remote"
    events = await house.ended()
    assert words.story(events) == [
        "started a",
        "routing_decided",
        "leg_offered b1",
        "leg_ringing b1",
        "leg_answered b1",
        "ring_ended",
        "leg_answered a",
        "bridged",
        "leg_ended a",
        "leg_ended b1",
        "ended",
    ]
    started = events[0]
    assert (started.data["caller"], started.data["caller_user_id"], started.data["dialled"]) == ("101", "anne", "102")
    assert events[1].configseq == 5
    assert words.last(events, "ended")["by"] == "caller"
    for ended in (event for event in events if event.type == "carillon.call.leg_ended.v1"):
        quality = ended.data["quality"]
        assert (quality["codec"], quality["packets_received"], quality["lost"]) == ("PCMA", 10, 0)
        assert quality["mos"] > 4
    asked = house.application.asked[0].call
    assert (asked.tenant_id, asked.caller_number, asked.caller_name, asked.dialled) == ("dupont", "101", "Anne", "102")


@pytest.mark.feature("M-1")
async def test_the_same_over_tcp_reusing_the_phones_connection(house: Any, words: Any) -> None:
    house.application.follow(words.ring("bob"))
    anne, bob = await house.phone("anne", "tcp"), await house.phone("bob", "tcp")
    anne.call("102")
    invite, _ = await bob.pick_up()
    await anne.answered()
    bob.do("bye", invite.session)
    assert (await anne.expect(SessionEnded)).by == "remote"
    events = await house.ended()
    assert words.last(events, "ended")["by"] == "callee"


async def test_a_call_from_udp_to_tcp(house: Any, words: Any) -> None:
    house.application.follow(words.ring("bob"))
    anne, bob = await house.phone("anne"), await house.phone("bob", "tcp")
    call = anne.call("102")
    await bob.pick_up()
    await anne.answered()
    anne.do("bye", call)
    await bob.expect(SessionEnded)
    await house.ended()


async def test_the_caller_gives_up_and_the_phone_stops_ringing(house: Any, words: Any) -> None:
    house.application.follow(words.ring("bob"))
    anne, bob = await house.phone("anne"), await house.phone("bob")
    call = anne.call("102")
    invite = await bob.expect(InviteReceived)
    bob.do("ring", invite.session)
    await anne.expect(SessionProgress)
    anne.do("cancel", call)
    assert (await anne.expect(SessionFailed)).status == 487
    await bob.expect(SessionCancelled)
    events = await house.ended()
    assert words.last(events, "ended")["cause"] == "caller_gave_up"


async def test_the_phones_that_lost_are_told_that_the_call_was_completed_elsewhere(house: Any, words: Any) -> None:
    house.application.follow(words.ring("bob", "carol"))
    anne, bob, carol, carol2 = [await house.phone(user) for user in ("anne", "bob", "carol", "carol")]
    call = anne.call("102")
    for phone in (bob, carol2):
        phone.do("ring", (await phone.expect(InviteReceived)).session)
    await carol.pick_up()
    await anne.answered()
    for phone in (bob, carol2):
        assert "200" in (await phone.expect(SessionCancelled)).reason
    anne.do("bye", call)
    events = await house.ended()
    assert words.last(events, "ring_ended")["targets"] == {"bob": "no_answer", "carol": "answered"}


async def test_busy_goes_back_to_the_application_and_to_the_caller(house: Any, words: Any) -> None:
    house.application.follow(words.ring("bob"), words.hang_up(17))
    anne, bob = await house.phone("anne"), await house.phone("bob")
    anne.call("102")
    bob.do("reject", (await bob.expect(InviteReceived)).session, 486)
    assert (await anne.expect(SessionFailed)).status == 486
    outcome = house.application.asked[1].outcome.ring
    assert (outcome.result, [t.sip_status for t in outcome.targets]) == (3, [486])
    assert house.application.asked[1].cursor == b"ringing"
    assert words.last(await house.ended(), "ended")["cause"] == "user_busy"


async def test_nobody_answers(house: Any, words: Any) -> None:
    house.application.follow(words.ring("bob", seconds=1), words.hang_up(19))
    anne, bob = await house.phone("anne"), await house.phone("bob")
    anne.call("102")
    bob.do("ring", (await bob.expect(InviteReceived)).session)
    assert (await anne.expect(SessionFailed)).status == 480
    await bob.expect(SessionCancelled)
    assert words.last(await house.ended(), "ring_ended")["result"] == "no_answer"


async def test_a_phone_that_is_not_registered_is_unreachable(house: Any, words: Any) -> None:
    house.application.follow(words.ring("bob"), words.hang_up(20))
    anne = await house.phone("anne")
    anne.call("102")
    assert (await anne.expect(SessionFailed)).status == 480
    assert words.last(await house.ended(), "ring_ended")["targets"] == {"bob": "unreachable"}


async def test_a_call_without_credentials_is_challenged_and_a_wrong_password_refused(house: Any) -> None:
    anne = await house.phone("anne")
    anne.credentials = None
    anne.call("102")
    failed = await anne.expect(SessionFailed)
    assert failed.status == 407
    algorithms = [value for value in failed.response.headers.raw("Proxy-Authenticate") if "SHA-256" in value or "MD5" in value]
    assert len(algorithms) == 2
    anne.credentials = Credentials("anne", "wrong")
    anne.call("102")
    assert (await anne.expect(SessionFailed)).status == 403
    stranger = await house.phone("nobody", register=False)
    stranger.call("102")
    assert (await stranger.expect(SessionFailed)).status == 403
    assert house.application.asked == []


async def test_a_phone_that_only_knows_our_ip_address_is_challenged_with_its_tenants_realm(house: Any, words: Any) -> None:
    house.application.follow(words.hang_up(16, 480))
    anne = await house.phone("anne")
    anne.call("102", domain="127.0.0.1")
    assert (await anne.expect(SessionFailed)).status == 480


async def test_an_offer_without_a_codec_of_ours_is_refused_and_recorded(house: Any, words: Any) -> None:
    anne = await house.phone("anne")
    anne.call("102", body=anne.offer().replace(b"PCMA", b"G729").replace(b"PCMU", b"G728"))
    assert (await anne.expect(SessionFailed)).status == 488
    assert words.last(await house.ended(), "ended")["cause"] == "incompatible_destination"


async def test_more_calls_than_the_limit_are_refused_cheaply(house_with: Any, tmp_path: Any, words: Any) -> None:
    async with house_with(tmp_path, max_calls=1) as house:
        house.application.follow(words.ring("bob"))
        anne, bob = await house.phone("anne"), await house.phone("bob")
        first = anne.call("102")
        await bob.expect(InviteReceived)
        anne.call("102")
        refused = await anne.expect(SessionFailed)
        assert (refused.status, refused.response.headers.get("Retry-After")) == (503, "5")
        anne.do("cancel", first)
        await house.ended()


@pytest.mark.feature("M-2")
async def test_a_call_from_a_trunk_is_known_by_its_address(house: Any, words: Any) -> None:
    house.application.follow(words.ring("anne"))
    anne = await house.phone("anne")
    carrier = await house.phone("carrier", host="127.0.0.2", register=False)
    carrier.credentials = None
    carrier.call("0041215550100", domain="carrier.example", headers=(("P-Asserted-Identity", '"Jean" <sip:+41791234567@carrier.example>'),))
    await anne.pick_up()
    to = await carrier.answered()
    await eventually(lambda: all(leg.told for actor in house.running.board.calls.values() for leg in actor.legs.values()))
    async with rtp_endpoint("127.0.0.9") as stranger, rtp_endpoint("127.0.0.2") as beside_its_sip:
        stranger.send_audio(tone(880, 100, "PCMA"), "PCMA", to)
        beside_its_sip.send_audio(tone(440, 60, "PCMA"), "PCMA", to)
        await anne.rtp.wait_for(3)
        assert share_of(decode(b"".join(packet.payload for packet in anne.rtp.received), "PCMA"), 440) > 0.9
        assert stranger.received == []
    facts = house.application.asked[0].call
    assert (facts.direction, facts.caller_number, facts.caller_name, facts.trunk_id) == (1, "+41791234567", "Jean", "carrier")
    assert facts.dialled == "+41215550100"


@pytest.mark.feature("D-8")
async def test_a_caller_has_the_name_of_each_user_s_contacts_on_the_phones_that_ring_and_when_they_are_connected(
    house: Any, words: Any
) -> None:
    await house.configure("contact", {"id": "client", "company": "Client SA", "phone": "+41791234567"})
    await house.configure("contact", {"id": "papa", "last_name": "Papa", "mobile": "+41791234567", "owner_user_id": "anne"})
    step = words.ring("anne", "bob")
    step.step.ring.caller_number, step.step.ring.caller_name = "+41791234567", "JEAN 0791234567"
    house.application.follow(step)
    anne, bob, carol = [await house.phone(name) for name in ("anne", "bob", "carol")]
    carol.call("200")
    shown = [(await phone.expect(InviteReceived)).request.from_ for phone in (anne, bob)]
    assert [(each.display_name, each.uri.user) for each in shown] == [("Papa", "+41791234567"), ("Client SA", "+41791234567")]
    carrier = await house.phone("carrier", host="127.0.0.2", register=False)
    await house.configure("trunk", {"id": "carrier", "address": f"127.0.0.2:{carrier.flow.local[1]}"})
    house.application.follow(words.ring(trunk="+41791234567"))
    anne.call("+41791234567")
    await carrier.pick_up()
    asserted = (await anne.expect(SessionAnswered)).response.headers.get("P-Asserted-Identity")
    assert asserted.startswith('"Papa" <sip:+41791234567@')


@pytest.mark.feature("M-2")
async def test_a_number_that_nobody_owns_is_not_found(house: Any) -> None:
    carrier = await house.phone("carrier", host="127.0.0.2", register=False)
    carrier.call("+41215550999")
    assert (await carrier.expect(SessionFailed)).status == 404
    assert not house.running.board.calls


async def test_delayed_offer(house: Any, words: Any) -> None:
    house.application.follow(words.ring("bob"))
    anne, bob = await house.phone("anne"), await house.phone("bob")
    call = anne.call("102", body=b"")
    _, bob_hears_from = await bob.pick_up()
    answered = await anne.expect(SessionAnswered)
    to = words.audio_of(answered.response.body)
    here = anne.rtp.address
    reply = answer_offer(SessionDescription.parse(answered.response.body), here.ip, here.port, session_id=3).local.to_bytes()
    anne.do("ack", call, reply)
    await eventually(lambda: all(leg.told for actor in house.running.board.calls.values() for leg in actor.legs.values()))
    anne.rtp.send_audio(tone(440, 100, "PCMA"), "PCMA", to)
    bob.rtp.send_audio(tone(440, 100, "PCMA"), "PCMA", bob_hears_from)
    assert len(await bob.rtp.wait_for(3)) == len(await anne.rtp.wait_for(3))


@pytest.mark.feature("M-4")
async def test_hold_and_back(house: Any, words: Any) -> None:
    house.application.follow(words.ring("bob"))
    anne, bob = await house.phone("anne"), await house.phone("bob")
    call = anne.call("102")
    await bob.pick_up()
    to = await anne.answered()
    anne.do("reinvite", call, anne.offer("sendonly"))
    assert b"recvonly" in (await anne.expect(ReinviteAnswered)).body
    assert next(iter(house.running.board.calls.values())).call.doing == "held"
    anne.do("reinvite", call, anne.offer())
    assert b"recvonly" not in (await anne.expect(ReinviteAnswered)).body
    anne.rtp.send_audio(tone(440, 100, "PCMA"), "PCMA", to)
    await bob.rtp.wait_for(3)
    anne.do("bye", call)
    events = await house.ended()
    assert [fact for fact in words.story(events) if "held" in fact or "resumed" in fact] == ["leg_held a", "leg_resumed a"]


def _held_inactive(anne: Any) -> bytes:
    return bytes(anne.offer("inactive"))


def _held_nowhere(anne: Any) -> bytes:
    """RFC 2543 section B.5."""
    address = anne.rtp.address.ip.encode()
    return bytes(anne.offer().replace(b"c=IN IP4 " + address, b"c=IN IP4 0.0.0.0"))


def _held_sendonly(anne: Any) -> bytes:
    return bytes(anne.offer("sendonly"))


@pytest.mark.feature("M-4")
@pytest.mark.parametrize("style", [_held_sendonly, _held_inactive, _held_nowhere], ids=["sendonly", "inactive", "0.0.0.0"])
async def test_whoever_is_held_hears_music_however_the_phone_says_it(house: Any, words: Any, style: Any) -> None:
    house.application.follow(words.ring("bob"))
    anne, bob = await house.phone("anne"), await house.phone("bob")
    call = anne.call("102")
    _, bob_hears_from = await bob.pick_up()
    to = await anne.answered()
    anne.do("reinvite", call, style(anne))
    await anne.expect(ReinviteAnswered)
    packets = await bob.rtp.wait_for(20)
    assert max(abs(sample) for sample in decode(b"".join(packet.payload for packet in packets), "PCMA")) > 500
    bob.rtp.send_audio(tone(440, 100, "PCMA"), "PCMA", bob_hears_from)
    anne.do("reinvite", call, anne.offer())
    await anne.expect(ReinviteAnswered)
    actor = next(iter(house.running.board.calls.values()))
    assert actor.call.doing == "talking"
    assert not anne.rtp.received
    bob.rtp.received.clear()
    anne.rtp.send_audio(tone(440, 400, "PCMA"), "PCMA", to)
    heard = b"".join(packet.payload for packet in (await bob.rtp.wait_for(15))[-12:])
    assert share_of(decode(heard, "PCMA"), 440) > 0.9
    anne.do("bye", call)
    events = await house.ended()
    assert [fact for fact in words.story(events) if "held" in fact or "resumed" in fact] == ["leg_held a", "leg_resumed a"]


async def test_a_callee_with_another_law_is_heard_all_the_same(house: Any, words: Any) -> None:
    house.application.follow(words.ring("bob"))
    anne, bob = await house.phone("anne"), await house.phone("bob")
    anne.call("102")
    await bob.pick_up(codecs=(PCMU,))
    to = await anne.answered()
    anne.rtp.send_audio(tone(440, 100, "PCMA"), "PCMA", to)
    assert {packet.payload_type for packet in await bob.rtp.wait_for(3)} == {0}


@pytest.mark.feature("M-3")
@pytest.mark.parametrize("how", ["privacy", "anonymous"])
async def test_a_user_who_withholds_the_number_is_not_shown(house: Any, words: Any, how: str) -> None:
    house.application.follow(words.ring("bob"))
    anne, bob = await house.phone("anne"), await house.phone("bob")
    headers = (("Privacy", "id"),) if how == "privacy" else ()
    mine = anne.call("102", headers=headers, anonymous=how == "anonymous")
    invite, _ = await bob.pick_up()
    assert invite.request.from_.uri.user == "anonymous"
    shown = invite.request.to_bytes().partition(b"v=0")[0]
    assert not any(who in shown for who in (b"101@", b"Anne", b"anne"))
    assert house.application.asked[0].call.caller_number == "101"
    await anne.answered()
    anne.do("bye", mine)
    await house.ended()
