"""What phones may do beyond a plain call, done by SIPp against the service: session timers, 100rel, UPDATE, glare, delayed offers, 3xx.

Scenarios are put together of the few messages that they have in common; SIPp checks what the service says by regular expressions.
"""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from carillon_sip import NameAddr, Refer, SessionAcked

pytestmark = pytest.mark.feature("M-3")
SDP = """v=0
o=phone 1 {version} IN IP4 [local_ip]
s=-
c=IN IP4 127.0.0.1
t=0 0
m=audio 40000 RTP/AVP 8 101
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
a={direction}"""
OFFER = SDP.format(version=1, direction="sendrecv")


def send(head: str, extra: str = "", body: str = "", *, again: bool = False) -> str:
    """`extra`: whole header lines; `again`: it is retransmitted."""
    described = "Content-Type: application/sdp\n" if body else ""
    begin = '<send retrans="500">' if again else "<send>"
    return f"{begin}<![CDATA[\n{head}\n{extra}{described}Content-Length: [len]\n\n{body}\n]]></send>\n"


def request(method: str, cseq: int, extra: str = "", body: str = "") -> str:
    """Of the caller; with a [next_url] once the service has said one."""
    inside = method != "INVITE" or cseq > 2
    target, tag = ("[next_url]", "[peer_tag_param]") if inside else ("sip:[dest]@[domain]", "")
    head = (
        f"{method} {target} SIP/2.0\nVia: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]\n"
        f"From: <sip:[user]@[domain]>;tag=[pid]a[call_number]\nTo: <sip:[dest]@[domain]>{tag}\nCall-ID: [call_id]\n"
        f"CSeq: {cseq} {method}\nContact: <sip:[user]@[local_ip]:[local_port];transport=[transport]>\nMax-Forwards: 70"
    )
    return send(head, extra, body, again=method != "ACK")


def refused(cseq: int) -> str:
    """ACK for what was no 2xx, with the Via and target of its INVITE."""
    return send(
        f"ACK sip:[dest]@[domain] SIP/2.0\n[last_Via:]\nFrom: <sip:[user]@[domain]>;tag=[pid]a[call_number]\n"
        f"To: <sip:[dest]@[domain]>[peer_tag_param]\nCall-ID: [call_id]\nCSeq: {cseq} ACK\nMax-Forwards: 70"
    )


OURS = "sip:phone@[local_ip]:[local_port];transport=[transport]"


def reply(
    status: str,
    extra: str = "",
    body: str = "",
    *,
    tag: str = "",
    contact: str = OURS,
    cseq: str = "[last_CSeq:]",
    via: str = "[last_Via:]",
) -> str:
    """To what came last. With a body it is retransmitted until its ACK."""
    head = f"SIP/2.0 {status}\n{via}\n[last_From:]\n[last_To:]{tag}\n[last_Call-ID:]\n{cseq}\nContact: <{contact}>"
    return send(head, extra, body, again=body == OFFER)


def recv(what: str, *checks: tuple[str, str], optional: bool = False, auth: bool = False) -> str:
    """A response's status or a request's method; `checks`: header and what it must match. What matched is [$Header]."""
    kind = "response" if what.isdigit() else "request"
    flags = (' optional="true"' if optional else "") + (' auth="true"' if auth else "") + (' rrs="true"' if what in ("180", "200") else "")
    actions = "".join(
        f'<ereg regexp="{pattern}" search_in="hdr" header="{header}:" check_it="true" assign_to="{name(header)}"/>'
        f'<log message="[${name(header)}]"/>'
        for header, pattern in checks
    )
    return f'<recv {kind}="{what}"{flags}><action>{actions}</action></recv>\n' if checks else f'<recv {kind}="{what}"{flags}/>\n'


def name(header: str) -> str:
    return header.replace("-", "")


def calls(extra: str = "", body: str = OFFER) -> str:
    """The caller's beginning: the INVITE that is challenged, and the one that is not."""
    challenged = request("INVITE", 1, extra, body) + recv("100", optional=True) + recv("407", auth=True) + refused(1)
    return challenged + request("INVITE", 2, f"[authentication]\n{extra}", body) + recv("100", optional=True)


def answered(*checks: tuple[str, str]) -> str:
    return recv("180", optional=True) + recv("200", *checks)


ACK = request("ACK", 2)
PAUSE = '<pause milliseconds="200"/>\n'
TAG = ";tag=[pid]b[call_number]"
#: The callee rings and is told of what it answered twice.
RINGS = reply("180 Ringing", tag=TAG)
ANSWERS = reply("200 OK", body=OFFER, tag=TAG) + recv("INVITE", optional=True) + recv("ACK")
LEAVES = recv("BYE") + reply("200 OK")


def hangs_up(cseq: int) -> str:
    return request("BYE", cseq) + recv("200")


def scenario(folder: Path, title: str, *parts: str) -> Path:
    """Without its suffix, as `Sipp` wants it."""
    text = '<?xml version="1.0" encoding="ISO-8859-1" ?>\n<scenario name="{}">\n{}</scenario>\n'
    (folder / f"{title}.xml").write_text(text.format(title, "".join(parts)))
    return folder / title


async def called(house: Any, sipp: Any, *parts: str) -> None:
    """SIPp calls as these say, and every message was as it must be."""
    caller = sipp.Sipp(house, str(scenario(house.folder, "caller", *parts)), sipp.free_port(), "-m", "1")
    assert await caller.run() == 0, caller.errors()


def phone(house: Any, sipp: Any, parts: Iterable[str]) -> Any:
    """Bob's phone."""
    return sipp.phone(house, str(scenario(house.folder, "callee", recv("INVITE"), *parts)))


async def test_a_caller_refreshes_its_session_itself_by_reinvite_and_by_update(house: Any, words: Any, sipp: Any) -> None:
    house.application.follow(words.ring("bob"))
    timer = "Supported: timer\nSession-Expires: 90;refresher=uac\nMin-SE: 90\n"
    agreed = ("Session-Expires", "90;refresher=uac")
    async with sipp.phone(house, "uas"):
        reinvite = request("INVITE", 3, timer, OFFER) + recv("100", optional=True) + recv("200", agreed) + request("ACK", 3)
        update = request("UPDATE", 4, timer) + recv("200", agreed)
        await called(house, sipp, calls(timer), answered(agreed), ACK, reinvite, update, hangs_up(5))
        await house.ended()


@pytest.mark.slow
async def test_a_caller_that_wants_so_is_refreshed_by_us(house: Any, words: Any, sipp: Any) -> None:
    """Half of the shortest interval that RFC 4028 knows: 45 s."""
    house.application.follow(words.ring("bob"))
    timer = "Allow: INVITE, ACK, BYE, CANCEL, UPDATE\nSupported: timer\nSession-Expires: 90;refresher=uas\nMin-SE: 90\n"
    async with sipp.phone(house, "uas"):
        refreshed = recv("UPDATE", ("Session-Expires", "90;refresher=uac"))
        agrees = reply("200 OK", "Require: timer\nSession-Expires: 90;refresher=uac\n")
        await called(house, sipp, calls(timer), answered(("Session-Expires", "90;refresher=uas")), ACK, refreshed, agrees, hangs_up(3))
        await house.ended()


async def test_a_session_timer_that_is_too_short_is_refused_and_the_longer_one_taken(house: Any, words: Any, sipp: Any) -> None:
    house.application.follow(words.ring("bob"))
    short = request("INVITE", 1, "Supported: timer\nSession-Expires: 30\n", OFFER) + recv("100", optional=True)
    async with sipp.phone(house, "uas"):
        longer = "Supported: timer\nSession-Expires: 90;refresher=uac\nMin-SE: 90\n"
        again = request("INVITE", 2, longer, OFFER) + recv("100", optional=True) + recv("407", auth=True) + refused(2)
        third = request("INVITE", 2, f"[authentication]\n{longer}", OFFER).replace("CSeq: 2", "CSeq: 3") + recv("100", optional=True)
        end = answered(("Session-Expires", "90;refresher=uac")) + request("ACK", 3) + hangs_up(4)
        await called(house, sipp, short, recv("422", ("Min-SE", "90")), refused(1), again, third, end)
        await house.ended()


async def test_a_phone_that_wants_a_longer_session_timer_is_called_again_with_it(house: Any, words: Any, sipp: Any) -> None:
    house.application.follow(words.ring("bob"))
    refuses = reply("422 Session Interval Too Small", "Min-SE: 3600\n", tag=TAG) + recv("ACK")
    again = recv("INVITE", ("Session-Expires", "3600"), ("Min-SE", "3600"), ("CSeq", "2 INVITE"))
    async with phone(house, sipp, (refuses, again, RINGS, ANSWERS, LEAVES)):
        assert await sipp.Sipp(house, "uac", sipp.free_port(), "-m", "1", "-d", "100").run() == 0
        assert words.last(await house.ended(), "ended")["cause"] == "normal_clearing"


async def test_a_caller_that_requires_reliable_ringing_acknowledges_it(house: Any, words: Any, sipp: Any) -> None:
    house.application.follow(words.ring("bob"))
    rings = recv("180", ("RSeq", "[0-9]+"), ("Require", "100rel"))
    acknowledges = request("PRACK", 3, "RAck: [$RSeq] 2 INVITE\n") + recv("200") + recv("200")
    async with sipp.phone(house, "uas"):
        await called(house, sipp, calls("Require: 100rel\n"), rings, acknowledges, ACK, hangs_up(4))
        assert words.last(await house.ended(), "ended")["cause"] == "normal_clearing"


async def test_a_phone_s_reliable_ringing_is_acknowledged(house: Any, words: Any, sipp: Any) -> None:
    house.application.follow(words.ring("bob"))
    begins = recv("INVITE", ("Via", ".*"), ("Supported", "100rel"))
    rings = reply("183 Session Progress", "Require: 100rel\nRSeq: 41\n", tag=TAG)
    acknowledged = recv("PRACK", ("RAck", "41 1 INVITE")) + reply("200 OK")
    answers = reply("200 OK", body=OFFER, cseq="CSeq: 1 INVITE", via="Via:[$Via]") + recv("PRACK", optional=True) + recv("ACK")
    path = scenario(house.folder, "callee", begins, rings, acknowledged, answers, LEAVES)
    async with sipp.phone(house, str(path)):
        assert await sipp.Sipp(house, "uac", sipp.free_port(), "-m", "1", "-d", "100").run() == 0
        events = await house.ended()
    assert words.last(events, "leg_ringing")["sip_status"] == 183
    assert words.last(events, "ended")["cause"] == "normal_clearing"


async def test_a_caller_holds_and_resumes_by_update(house: Any, words: Any, sipp: Any) -> None:
    house.application.follow(words.ring("bob"))
    holds = request("UPDATE", 3, body=SDP.format(version=2, direction="sendonly")) + recv("200", ("Content-Type", "application/sdp"))
    resumes = request("UPDATE", 4, body=SDP.format(version=3, direction="sendrecv")) + recv("200", ("Content-Type", "application/sdp"))
    async with sipp.phone(house, "uas"):
        await called(house, sipp, calls(), answered(), ACK, holds, resumes, hangs_up(5))
        events = await house.ended()
    assert [fact for fact in words.story(events) if fact.startswith(("leg_held", "leg_resumed"))] == ["leg_held a", "leg_resumed a"]


async def test_a_caller_without_an_offer_answers_ours_in_its_ack(house: Any, words: Any, sipp: Any) -> None:
    house.application.follow(words.ring("bob"))
    async with sipp.phone(house, "uas"):
        offered = answered(("Content-Type", "application/sdp"))
        await called(house, sipp, calls(body=""), offered, request("ACK", 2, body=OFFER), PAUSE, hangs_up(3))
        assert words.last(await house.ended(), "ended")["cause"] == "normal_clearing"


async def test_a_phone_sends_a_call_on_by_302(house: Any, words: Any, sipp: Any) -> None:
    house.application.decide = lambda asked: words.ring("carol" if asked.call.dialled == "103" else "bob")
    carol = await house.phone("carol")
    moved = reply("302 Moved Temporarily", tag=TAG, contact="sip:103@dupont.example")
    async with phone(house, sipp, (moved, recv("ACK"))):
        caller = await sipp.Sipp(house, "uac", sipp.free_port(), "-m", "1", "-d", "100").start()
        await carol.pick_up()
        assert await asyncio.wait_for(caller.wait(), 60) == 0
        assert words.last(await house.ended(), "ended")["cause"] == "normal_clearing"


TOLD = ("P-Asserted-Identity", "Carol.*sip:103@")


@pytest.mark.parametrize("by", ["UPDATE", "INVITE"])
async def test_a_caller_is_told_whom_it_talks_with_now_and_told_again_after_its_491(house: Any, words: Any, sipp: Any, by: str) -> None:
    """Its offer crossed ours (RFC 3261 section 14.1), or so it says."""
    house.application.follow(words.ring("bob"), words.ring("carol"))
    bob, carol = await house.phone("bob"), await house.phone("carol")
    if by == "UPDATE":
        allow, ack, answer = "Allow: INVITE, ACK, BYE, CANCEL, UPDATE\n", "", ""
    else:
        allow, ack, answer = "Allow: INVITE, ACK, BYE, CANCEL\n", recv("ACK"), OFFER
    crossed = recv(by, TOLD) + reply("491 Request Pending") + ack
    taken = recv(by, TOLD) + reply("200 OK", body=answer) + ack
    path = scenario(house.folder, "caller", calls(allow), answered(), ACK, crossed, taken, hangs_up(3))
    caller = sipp.Sipp(house, str(path), sipp.free_port(), "-m", "1")
    process = await caller.start()
    invite, _ = await bob.pick_up()
    await bob.expect(SessionAcked)
    bob.do("refer", Refer(NameAddr.of("sip:103@dupont.example"), session=invite.session))
    await carol.pick_up()
    assert await asyncio.wait_for(process.wait(), 60) == 0, caller.errors()
    assert words.last(await house.ended(), "ended")["cause"] == "normal_clearing"
