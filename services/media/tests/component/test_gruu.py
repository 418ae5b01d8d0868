"""GRUUs (RFC 5627): a phone that asks gets two names, and whoever calls one reaches that phone and no other of its user."""

from dataclasses import replace
from typing import Any

import pytest

from carillon_sip import (
    Invite,
    InviteReceived,
    Refer,
    ReferAnswered,
    RequestOut,
    RequestReceived,
    ResponseReceived,
    SessionEnded,
    SessionFailed,
)
from carillon_sip.uri import NameAddr, Uri, quote, unquote_string

pytestmark = pytest.mark.feature("M-1")

REALM = "dupont.example"


async def gruus_of(phone: Any, instance: str, call_id: str) -> tuple[str, str]:
    """Register with this instance; its public and its temporary GRUU."""
    address = NameAddr.of(f"sip:{phone.user}@{REALM}")
    phone.cseq += 2
    request = RequestOut(
        "REGISTER",
        flow=phone.flow,
        request_uri=f"sip:{REALM}",
        from_=address,
        to=address,
        contact=replace(phone.contact, parameters=(("+sip.instance", quote(f"<{instance}>")),)),
        headers=(("Supported", "gruu"), ("Expires", "600")),
        call_id=call_id,
        cseq=phone.cseq,
        credentials=phone.credentials,
    )
    phone.do("request", request)
    answer = (await phone.expect(ResponseReceived, lambda o: o.response.status >= 200)).response
    assert answer.status == 200
    mine = next(contact for contact in answer.contacts if instance in (contact.parameter("+sip.instance") or ""))
    return unquote_string(mine.parameter("pub-gruu") or ""), unquote_string(mine.parameter("temp-gruu") or "")


def call(phone: Any, uri: str) -> str:
    address = NameAddr.of(f"sip:{phone.user}@{REALM}")
    invite = Invite(
        flow=phone.flow,
        request_uri=uri,
        from_=address,
        to=NameAddr.of(uri),
        contact=phone.contact,
        body=phone.offer(),
        credentials=phone.credentials,
    )
    session: str = phone.agent.invite(invite, now=phone.now)
    phone.pump()
    return session


async def test_a_gruu_rings_its_phone_and_no_other_of_the_user(house: Any, words: Any) -> None:
    house.application.follow(words.ring("bob"), words.hang_up(16))
    anne, desk, soft = [await house.phone(user, register=user == "anne") for user in ("anne", "bob", "bob")]
    public, temporary = await gruus_of(desk, "urn:uuid:00000000-0000-0000-0000-00000000000a", "desk")
    await gruus_of(soft, "urn:uuid:00000000-0000-0000-0000-00000000000b", "soft")
    assert Uri.parse(public).user == "bob"
    assert "bob" not in temporary
    for uri in (public, temporary):
        session = call(anne, uri)
        invite = await desk.expect(InviteReceived)
        assert house.application.asked[-1].call.dialled == "102"
        desk.do("reject", invite.session, 486)
        await anne.expect(SessionFailed, lambda o, session=session: o.session == session)
        house.application.follow(words.ring("bob"), words.hang_up(16))
    assert not [output for output in soft.seen if isinstance(output, InviteReceived)]


async def test_a_temporary_gruu_ends_with_its_registration_and_a_forged_one_is_nobodys(house: Any, words: Any) -> None:
    house.application.follow(words.ring("bob"), words.hang_up(16))
    anne, desk = await house.phone("anne"), await house.phone("bob", register=False)
    instance = "urn:uuid:00000000-0000-0000-0000-00000000000a"
    _, old = await gruus_of(desk, instance, "first")
    _, again = await gruus_of(desk, instance, "first")
    assert old != again
    _, new = await gruus_of(desk, instance, "second")
    changed = new.replace("sip:", "sip:x", 1)
    nobody = f"sip:mallory@{REALM};gr={instance}"
    for uri in (old, again, changed, nobody):
        call(anne, uri)
        assert (await anne.expect(SessionFailed)).status == 404
    call(anne, new)
    await desk.expect(InviteReceived)


@pytest.mark.feature("M-4", "M-15")
async def test_a_transfer_and_a_message_reach_the_one_phone_that_is_named(house: Any, words: Any) -> None:
    house.application.follow(words.ring("carol"), words.ring("bob"))
    anne, carol, desk, soft = [await house.phone(user, register=user != "bob") for user in ("anne", "carol", "bob", "bob")]
    _, named = await gruus_of(desk, "urn:uuid:00000000-0000-0000-0000-00000000000a", "desk")
    await gruus_of(soft, "urn:uuid:00000000-0000-0000-0000-00000000000b", "soft")
    for uri, status in ((named, 200), (named.replace("sip:", "sip:x", 1), 404)):
        address = NameAddr.of(f"sip:anne@{REALM}")
        message = RequestOut(
            "MESSAGE",
            flow=anne.flow,
            request_uri=uri,
            from_=address,
            to=NameAddr.of(uri),
            body=b"hello",
            content_type="text/plain",
            credentials=anne.credentials,
        )
        anne.do("request", message)
        if status == 200:
            heard = await desk.expect(RequestReceived)
            assert heard.request.body == b"hello"
            desk.do("respond", heard.transaction, 200)
        assert (await anne.expect(ResponseReceived, lambda o: o.response.status >= 200)).response.status == status
    session = anne.call("103")
    await carol.pick_up()
    await anne.answered()
    anne.do("refer", Refer(NameAddr.of(named.replace("sip:", "sip:x", 1)), session=session))
    assert (await anne.expect(ReferAnswered)).status == 404
    anne.do("refer", Refer(NameAddr.of(named), session=session))
    assert (await anne.expect(ReferAnswered)).status == 202
    await desk.pick_up()
    await anne.expect(SessionEnded)
    assert house.application.asked[-1].call.dialled == "102"
    assert not [output for output in soft.seen if isinstance(output, InviteReceived | RequestReceived)]
