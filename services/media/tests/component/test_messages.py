"""Instant messages between phones of one house, over real sockets."""

from typing import Any

import pytest

from carillon_sip import NameAddr, RequestOut, RequestReceived, ResponseReceived

pytestmark = pytest.mark.feature("M-15")
REALM = "dupont.example"
SECRET_TEXT = "the cake is ready"


def send(phone: Any, to: str, text: bytes = SECRET_TEXT.encode(), *, kind: str = "text/plain") -> None:
    phone.cseq += 2
    phone.do(
        "request",
        RequestOut(
            "MESSAGE",
            flow=phone.flow,
            request_uri=f"sip:{to}@{REALM}",
            from_=NameAddr.parse(f'"The boss" <sip:{phone.user}@{REALM}>'),
            to=NameAddr.of(f"sip:{to}@{REALM}"),
            body=text,
            content_type=kind,
            call_id=f"m{phone.cseq}-{phone.user}",
            cseq=phone.cseq,
            credentials=phone.credentials,
        ),
    )


async def status(phone: Any) -> int:
    return int((await phone.expect(ResponseReceived, lambda output: output.response.status >= 200)).response.status)


async def sent(phone: Any, to: str, text: bytes = SECRET_TEXT.encode(), **options: Any) -> int:
    send(phone, to, text, **options)
    return await status(phone)


@pytest.fixture
async def pair(house: Any) -> tuple[Any, Any]:
    return await house.phone("anne"), await house.phone("bob")


async def test_a_message_reaches_every_phone_of_the_user_and_the_first_answers(house: Any, pair: Any, capfd: Any) -> None:
    anne, bob = pair
    other = await house.phone("bob", "tcp")
    send(anne, "102")
    for phone in (bob, other):
        received = await phone.expect(RequestReceived)
        request = received.request
        assert (request.method, request.body, request.content_type) == ("MESSAGE", SECRET_TEXT.encode(), "text/plain")
        assert (request.from_.uri.user, request.from_.uri.host, request.from_.display_name) == ("101", REALM, "Anne")
        assert request.to.uri.user == "102"
        assert "Authorization" not in request.headers
        phone.do("respond", received.transaction, 202 if phone is bob else 486)
    assert await status(anne) == 202
    assert SECRET_TEXT not in "".join(capfd.readouterr())
    assert not [event for event in house.events() if SECRET_TEXT in event.to_json().decode()]


async def test_a_refusal_is_passed_on_when_nobody_takes_it(pair: Any) -> None:
    anne, bob = pair
    send(anne, "bob")
    bob.do("respond", (await bob.expect(RequestReceived)).transaction, 486)
    assert await status(anne) == 486


async def test_who_is_not_there(pair: Any) -> None:
    anne, _ = pair
    assert await sent(anne, "103") == 480
    assert await sent(anne, "999") == 404
    assert await sent(anne, "+41215550100") == 404


async def test_nothing_is_taken_from_strangers(house: Any, pair: Any) -> None:
    _, bob = pair
    mallory = await house.phone("carol", register=False)
    mallory.credentials = None
    assert await sent(mallory, "102") == 401
    assert not [output for output in bob.seen if isinstance(output, RequestReceived)]


async def test_limits(house: Any, pair: Any) -> None:
    anne, _ = pair
    assert await sent(anne, "102", b"x", kind="application/octet-stream") == 415
    carol, other = await house.phone("carol", "tcp"), await house.phone("anne", "tcp")
    assert await sent(carol, "102", b"x" * 1301) == 413
    assert await sent(carol, "101", b"x" * 8193) == 413
    send(other, "103", b"y" * 4000)
    received = await carol.expect(RequestReceived)
    carol.do("respond", received.transaction, 200)
    assert len(received.request.body) == 4000
    assert await status(other) == 200
